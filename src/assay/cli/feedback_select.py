"""Feedback select: `assay feedback select`, which pairs of a pool to ask people about next.

What reads a reward is imported inside the command: torch takes seconds, and a random draw must not wait for it.
"""

from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from assay.cli.context import DEFAULT_WORKSPACE, WorkspaceOption, console, made, now, open_workspace
from assay.feedback import queue_of
from assay.feedback.campaign import Campaign
from assay.feedback.items import read_items
from assay.feedback.selection import Chosen, Divided, Selection, divided, open_selected
from assay.preferences.selection import Pick, SelectionPlan, select
from assay.records.errors import InputError, explain
from assay.records.judgement import Item
from assay.records.provenance import Provenance, code_version
from assay.records.record import digest
from assay.records.reward import RewardVersion


def select_(
    name: Annotated[str, typer.Argument(help="A campaign, which gains items; a new one is opened.")],
    pool: Annotated[Path, typer.Argument(help="Rows of prompt, first and second.")],
    count: Annotated[int, typer.Option(min=1, help="How many pairs to ask about.")],
    workspace: WorkspaceOption = DEFAULT_WORKSPACE,
    random_share: Annotated[float, typer.Option(help="Share drawn at random; 1 needs no reward.")] = 0.2,
    diversity: Annotated[float, typer.Option(min=0, help="Worth of new ground, in nats a nat of entropy.")] = 0.05,
    overlap: Annotated[int | None, typer.Option(min=1, help="People an item, where the campaign is new.")] = None,
    reward: Annotated[str | None, typer.Option(help="Id of a reward; else the last proxy.")] = None,
    model: Annotated[str | None, typer.Option(help="Where the model lies now, if it moved.")] = None,
    seed: Annotated[int, typer.Option(help="Seed of the random draw.")] = 0,
) -> None:
    """Choose the pairs of a pool whose answers teach the reward most, a declared share at random, into a campaign."""
    space = open_workspace(workspace)
    moment = now()
    read = read_items(pool, campaign=name, now=moment)
    campaign = space.records.latest(Campaign, subject=name)
    leases = queue_of(space.records)
    parts = divided(leases, read.items, campaign=campaign, count=count, gold=tuple(read.gold))
    plan = SelectionPlan(parts.wanted[0], random_share=random_share, diversity=diversity)
    waiting = [one for one in space.records.all(Item, subject=name) if leases.split_of(name, one.id)]
    asks_reward = bool(parts.wanted[0]) and random_share < 1
    version = _reward(space.records.all(RewardVersion), reward, workspace) if asks_reward else None
    space.close()
    rng = np.random.default_rng(seed)
    chosen = [] if version is None else _informative(workspace, version, parts, waiting, plan, rng, model=model)
    if version is None:
        chosen = _at_random(parts.trainable, parts.wanted[0], rng)
    chosen += _at_random(parts.others, parts.wanted[1], rng)
    ids = sorted(item.id for item in (*parts.trainable, *parts.others))
    settings = {"random_share": random_share, "diversity": diversity, "count": count}
    selection = Selection(
        campaign=name,
        items=tuple(chosen),
        pool=len(ids),
        random_share=random_share,
        diversity=diversity,
        reward=version.id if version else None,
        provenance=Provenance(
            seed=seed, data_hash=digest(ids), code_version=code_version(), config_hash=digest(settings)
        ),
        created_at=moment,
    )
    space = open_workspace(workspace)
    opened = open_selected(space.records, selection, read.items, campaign=campaign, overlap=overlap, now=moment)
    space.close()
    drawn = sum(one.arm == "random" for one in chosen)
    console.print(f"{len(chosen)} of {len(ids)} pairs: {drawn} at random, {len(chosen) - drawn} by what they teach")
    made("selection", selection.id, next_command=f"assay feedback serve --campaign {opened.name} -w {workspace}")


def _informative(
    workspace: Path,
    version: RewardVersion,
    parts: Divided,
    waiting: list[Item],
    plan: SelectionPlan,
    rng: np.random.Generator,
    *,
    model: str | None,
) -> list[Chosen]:
    from assay.cli.stages.select import view_pool
    from assay.cli.standing import open_walk

    with open_walk(workspace, model=model, seed=0) as walk:
        view = view_pool(walk, version, parts.trainable, waiting)
    picks = select(view.margins, view.about, asked=view.asked, within=view.within, plan=plan, rng=rng)
    return [_chosen(parts.trainable, pick, asks_reward=True) for pick in picks]


def _at_random(items: list[Item], count: int, rng: np.random.Generator) -> list[Chosen]:
    if not count:
        return []
    nothing = np.zeros((len(items), 1))
    picks = select(nothing, nothing, plan=SelectionPlan(count, random_share=1.0), rng=rng)
    return [_chosen(items, pick, asks_reward=False) for pick in picks]


def _chosen(items: list[Item], pick: Pick, *, asks_reward: bool) -> Chosen:
    information = round(pick.information, 6) if asks_reward else None
    return Chosen(item=items[pick.row].id, arm=pick.arm, propensity=pick.propensity, information=information)


def _reward(versions: list[RewardVersion], wanted: str | None, workspace: Path) -> RewardVersion:
    """The named proxy, or the last. No other reward chooses: a judge would say what it is going to judge by.

    Raises InputError where there is none.
    """
    found = [one for one in versions if one.name == "proxy" and one.id.startswith(wanted or "")]
    if not found:
        do = f"train one with `assay reward train -w {workspace}`, or say --random-share 1"
        got = f"no proxy that starts with {wanted!r}" if wanted else "none"
        raise InputError(explain(expected="a reward to ask what it does not know", got=got, do=do))
    return found[-1]
