"""Feedback commands: judgements in and out, campaigns and the site that serves them, and the people who judge."""

from pathlib import Path
from typing import Annotated

import typer

from assay.cli import (
    feedback_ethics,
    feedback_panel,
    feedback_profile,
    feedback_recruit,
    feedback_retention,
    feedback_rights,
    feedback_select,
    feedback_webhooks,
)
from assay.cli.annotation_site import serve_site
from assay.cli.context import DEFAULT_WORKSPACE, WorkspaceOption, console, made, now, open_workspace
from assay.feedback import (
    Folds,
    ImportSummary,
    find_campaign,
    import_judgements,
    open_campaign,
    queue_of,
    read_judgements,
)
from assay.feedback.accounts import Role, find_account, is_open_to_all, open_account
from assay.feedback.campaign import Gold, Run, state_of
from assay.feedback.check_fairness import check_failures
from assay.feedback.demonstrations import gather_demonstrations
from assay.feedback.folds import held_out_from
from assay.feedback.items import read_items
from assay.feedback.panels import panel_of, told_by
from assay.feedback.pii_finders import finder_named
from assay.feedback.quality import AnnotatorQuality, annotator_quality
from assay.feedback.schemes import read_scheme
from assay.feedback.shares import Share
from assay.records.errors import ConfigError, explain
from assay.records.judgement import Judgement
from assay.web import campaign_path, login_address

app = typer.Typer(no_args_is_help=True, help="Collect judgements from people, read them in, write them out.")

HeldOutOption = Annotated[
    str, typer.Option("--held-out-annotators", help="auto (a quarter, by hash), none, or names with commas between.")
]


@app.command("import")
def import_(
    file: Annotated[Path, typer.Argument(help="jsonl, JSON list or parquet; may be gzipped.")],
    workspace: WorkspaceOption = DEFAULT_WORKSPACE,
    format_: Annotated[str | None, typer.Option("--format", help="Overrule what the fields say.")] = None,
    held_out_annotators: HeldOutOption = "auto",
) -> None:
    """Read a file of judgements or demonstrations and store it, divided into splits."""
    space = open_workspace(workspace)
    imported = read_judgements(file, now=now(), source_format=format_)
    summary = import_judgements(
        space.records, imported, folds=Folds(held_out_annotators=held_out_from(held_out_annotators))
    )
    space.close()
    _report(summary)
    made("imported", summary.judgement_set, next_command=f"assay preferences fit --workspace {workspace}")


@app.command("campaign")
def campaign(
    name: Annotated[str, typer.Argument(help="A new campaign, or one that gains items.")],
    items: Annotated[Path, typer.Argument(help="Rows of prompt, first and second, or of prompt and completions.")],
    workspace: WorkspaceOption = DEFAULT_WORKSPACE,
    held_out_annotators: HeldOutOption = "none",
    scheme: Annotated[Path | None, typer.Option(help="What is asked (YAML); else which of two is better.")] = None,
    overlap: Annotated[int | None, typer.Option(min=1, help="How many people judge each item; else everybody.")] = None,
    extra_overlap: Annotated[int | None, typer.Option(min=1, help="How many more while they disagree.")] = None,
    gold_rate: Annotated[float | None, typer.Option(help="Share of turns with an item whose answer is known.")] = None,
    repeat_rate: Annotated[float | None, typer.Option(help="Share of turns with an earlier item again.")] = None,
    break_after_min: Annotated[float | None, typer.Option(help="Active minutes before a break is proposed.")] = None,
    daily_cap_min: Annotated[float | None, typer.Option(help="Active minutes a day, then no more items.")] = None,
    mix: Annotated[bool, typer.Option("--mix", help="Vary topic, length and harm from item to item.")] = False,
    draft: Annotated[bool, typer.Option("--draft", help="Nobody judges before a second person has signed.")] = False,
) -> None:
    """Open a campaign: items for people to judge in the browser."""
    space = open_workspace(workspace)
    moment = now()
    read = read_items(items, campaign=name, now=moment)
    opened = open_campaign(
        space.records,
        name,
        read.items,
        now=moment,
        folds=Folds(held_out_annotators=held_out_from(held_out_annotators)),
        scheme=read_scheme(scheme, now=moment) if scheme else None,
        run=Run(
            overlap=overlap,
            extra_overlap=extra_overlap,
            gold_rate=gold_rate,
            repeat_rate=repeat_rate,
            break_after_min=break_after_min,
            daily_cap_min=daily_cap_min,
            mix=mix or None,
            needs_review=draft or None,
        ),
        gold=read.gold,
    )
    count, state = queue_of(space.records).items(name), state_of(space.records, name)
    space.close()
    console.print(f"{count} items in {name}" + (f", and {len(read.gold)} that check" if read.gold else ""))
    following = "serve --campaign" if state == "open" else "submit"
    made("campaign", opened.id, next_command=f"assay feedback {following} {name} --workspace {workspace}")


@app.command("serve")
def serve(
    campaign: Annotated[str, typer.Option(help="The campaign to judge.")],
    workspace: WorkspaceOption = DEFAULT_WORKSPACE,
    port: Annotated[int, typer.Option(help="Port on this machine.")] = 8000,
    host: Annotated[str, typer.Option(help="Address to listen on; the default is this machine only.")] = "127.0.0.1",
    tls: Annotated[bool, typer.Option("--tls", help="Served with TLS by a proxy: cookies need it.")] = False,
    open_to_all: Annotated[bool, typer.Option("--open", help="Other machines may judge without an account.")] = False,
    workers: Annotated[int, typer.Option(min=1, help="Server processes over the one workspace.")] = 1,
    pii: Annotated[
        str | None, typer.Option(help="Look for more personal data: presidio, or presidio:MODEL for names, too.")
    ] = None,
) -> None:
    """Serve the annotation site until stopped with Ctrl-C."""
    finder_named(pii)  # what is not installed is told before anything starts
    space = open_workspace(workspace)
    found = find_campaign(space.records, campaign)
    feedback_ethics.require_open(space, campaign)
    if host not in ("127.0.0.1", "localhost", "::1") and is_open_to_all(space.records) and not open_to_all:
        do = f"make accounts with `assay feedback account NAME -w {workspace}`, or say --open"
        got = f"a site without accounts on {host}"
        raise ConfigError(explain(expected="a site that other machines enter by account", got=got, do=do))
    next_command = f"assay feedback export judgements.jsonl --workspace {workspace}"
    made("campaign", found.id, next_command=next_command)
    console.print(f"judge at http://{host}:{port}{campaign_path(campaign)}")
    space.close()
    serve_site(workspace, host=host, port=port, is_secure=tls, workers=workers, finder=pii)


@app.command("account")
def account(
    name: Annotated[str, typer.Argument(help="The person's name.")],
    workspace: WorkspaceOption = DEFAULT_WORKSPACE,
    role: Annotated[Role, typer.Option(help="What they may see.")] = "annotator",
    campaign: Annotated[list[str] | None, typer.Option(help="Only these campaigns; may be repeated.")] = None,
    password_file: Annotated[Path | None, typer.Option(help="First line: their password; else links only.")] = None,
    close: Annotated[bool, typer.Option("--close", help="Let them in no more.")] = False,
) -> None:
    """Make an account for the annotation site, or change one. The first one closes the site to everybody else."""
    space = open_workspace(workspace)
    password = password_file.read_text(encoding="utf-8").splitlines()[0] if password_file else None
    opened = open_account(
        space.records, name, role, now=now(), password=password, campaigns=campaign or None, is_closed=close
    )
    space.close()
    made("account", opened.id, next_command=f"assay feedback link {name} --workspace {workspace}")


@app.command("link")
def link(
    name: Annotated[str, typer.Argument(help="A person with an account.")],
    workspace: WorkspaceOption = DEFAULT_WORKSPACE,
    site: Annotated[str, typer.Option(help="Where the site is served.")] = "http://127.0.0.1:8000",
) -> None:
    """Print a login link that works once, within three days."""
    space = open_workspace(workspace)
    found = find_account(space.records, name)
    if found is None or found.is_closed:
        do = f"make one with `assay feedback account {name} -w {workspace}`"
        raise ConfigError(explain(expected=f"an open account {name!r}", got="none", do=do))
    console.print(site.rstrip("/") + login_address(space, name, now=now()), markup=False)
    space.close()
    made("account", found.id, next_command=f"assay feedback serve --campaign NAME --workspace {workspace}")


@app.command("quality")
def quality(
    campaign: Annotated[str, typer.Argument(help="The campaign.")], workspace: WorkspaceOption = DEFAULT_WORKSPACE
) -> None:
    """Say how each annotator's answers stand, with 95 % intervals, and whether checks turn a group away."""
    space = open_workspace(workspace)
    found = find_campaign(space.records, campaign)
    judgements = [one for one in space.records.all(Judgement) if one.campaign == campaign]
    gold, panel = space.records.all(Gold, subject=campaign), panel_of(space.records, campaign)
    people = annotator_quality(judgements, gold)
    told = {one.annotator: told_by(space.records, one.annotator) for one in people}
    space.close()
    for one in people:
        console.print(_standing(one), markup=False)
    for row in check_failures(judgements, gold, panel, told) if panel else []:
        if row.check is None or row.stands_out:
            what = "checks" if row.check is None else f"check {row.check[:12]}"
            said = f"failed {_share(row.failed)}, others {_share(row.others)}"
            console.print(f"{what} by {row.group}: {said}{'; stands out' if row.stands_out else ''}", markup=False)
    made("campaign", found.id, next_command=f"assay preferences fit --workspace {workspace}")


@app.command("demonstrations")
def demonstrations(
    campaign: Annotated[str, typer.Argument(help="The campaign.")], workspace: WorkspaceOption = DEFAULT_WORKSPACE
) -> None:
    """Gather the edits of a campaign that stand as demonstrations."""
    space = open_workspace(workspace)
    found = find_campaign(space.records, campaign)
    gathered = gather_demonstrations(space.records, campaign)
    space.close()
    console.print(f"{len(gathered)} demonstrations")
    made("campaign", found.id, next_command=f"assay align sft --workspace {workspace}")


for command in (feedback_ethics.submit, feedback_ethics.dossier, feedback_ethics.sign, feedback_ethics.close):
    app.command()(command)
app.command("select")(feedback_select.select_)
app.command()(feedback_rights.export)
app.command()(feedback_rights.token)
app.command()(feedback_webhooks.webhook)
app.command()(feedback_webhooks.deliver)
app.command()(feedback_rights.consent)
app.command()(feedback_rights.withdraw)
app.command()(feedback_panel.panel)
app.command()(feedback_recruit.recruit)
app.command()(feedback_profile.floor)
app.command()(feedback_retention.erase)
app.command()(feedback_retention.retention)


def _standing(one: AnnotatorQuality) -> str:
    shares = {"checks": one.gold, "repeats": one.repeats, "left": one.left, "agreement": one.agreement}
    said = [f"{name} {_share(share)}" for name, share in shares.items()]
    said.append(f"hasty {_share(one.hasty)}")
    if one.severity.mean is not None:
        said.append(f"finds fault {100 * one.severity.mean:+.0f} points beside others")
    if one.drift.early.n and one.drift.late.n:
        said.append(f"agrees early in a sitting {_share(one.drift.early)}, late {_share(one.drift.late)}")
    if one.drift.pace is not None:
        said.append(f"late pace {one.drift.pace:.2f} times the early one")
    return f"{one.annotator}: {one.judged} judged; " + ", ".join(said)


def _share(share: Share) -> str:
    low, high = share.interval
    return f"{share.hits}/{share.n} ({low:.2f}-{high:.2f})" if share.n else "-"


def _report(summary: ImportSummary) -> None:
    console.print(
        f"{summary.judgements} judgements and {summary.demonstrations} demonstrations "
        f"in {summary.format} format, {summary.added} of them new"
    )
    console.print("splits: " + ", ".join(f"{name} {count}" for name, count in summary.splits.items()))
    if summary.held_out_annotators:
        console.print(f"held-out annotators: {', '.join(summary.held_out_annotators)}", markup=False)
    if summary.unused:
        console.print(
            f"{summary.unused} are stored and left unused: they join a held-out annotator with a training prompt, or "
            "the other way round (--held-out-annotators none divides by prompt alone)"
        )
    for note in summary.notes:
        console.print(f"note: {note}", markup=False)
