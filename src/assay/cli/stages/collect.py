"""Collect: the reference model, demonstrations, judgements of people or of the simulated panel, and preferences."""

from itertools import combinations

import numpy as np

from assay.cli.context import now
from assay.cli.known_traits import known_traits
from assay.cli.walk import Outcome, Walk, stage_seed
from assay.evaluation import load_gold
from assay.feedback import Folds, Imported, import_judgements, read_judgements
from assay.feedback.prompts import demo_demonstrations, demo_prompts
from assay.feedback.simulated import SimulatedAnnotator, SimulatedPair, demo_panel, simulate
from assay.lm import Sampling, generate, load_adapter
from assay.lm.generation import total_tokens
from assay.preferences import aggregate_split
from assay.records.conversation import Message, Prompt, last_user_text
from assay.records.errors import AssayError, ConfigError, explain
from assay.records.judgement import Demonstration, Judgement
from assay.records.policy import PolicyVersion
from assay.records.provenance import Provenance, code_version
from assay.storage import SplitName

WATCH_PANEL = ("careful-3", "noisy-1")
"""Simulated people whose judgements fit the watch panel only: few and vetted, as a team would choose them."""
HELD_OUT_PANEL = ("careful-2", "careful-4", "noisy-2")
"""Simulated people whose judgements only evaluation sees: few and vetted too. The training crowd is the biased one."""
JUDGING_AGGREGATION = "joint"
"""How held-out judgements become preferences, whatever trains: judges must not move with what they judge."""
VOTES = "votes"
"""Output of the preferences stage: the training judgements with their votes counted, and nothing else known of them."""


def open_model(walk: Walk) -> Outcome:
    """Load the base model once and record it as the reference policy."""
    lm = walk.fresh_model()
    provenance = Provenance(
        seed=walk.config.seed, data_hash=lm.id, code_version=code_version(), config_hash=walk.config.hash
    )
    reference = PolicyVersion(
        created_at=now(),
        name="reference",
        base_model=walk.config.model,
        adapter=None,
        ref_policy=None,
        method="reference",
        provenance=provenance,
    )
    walk.workspace.records.put(reference)
    dtype = str(next(lm.model.parameters()).dtype).removeprefix("torch.")
    return Outcome({"policy": reference.id, "model": lm.id}, said=f"{walk.config.model}, {dtype}, {lm.id[:12]}")


def demo_prompt(walk: Walk, text: str) -> Prompt:
    """A demo prompt with the configured system message."""
    system = walk.config.sampling.system_prompt
    user = Message(role="user", content=text)
    return (user,) if system is None else (Message(role="system", content=system), user)


def demo_folds(walk: Walk) -> Folds:
    """The folds of the demo: the declared held-out people are held out."""
    return walk.config.feedback.folds.model_copy(update={"held_out_annotators": HELD_OUT_PANEL})


def write_demonstrations(walk: Walk) -> Outcome:
    """Store the project's own demonstrations, those of training prompts; the others stay unread."""
    folds = demo_folds(walk)
    demonstrations = [
        Demonstration(created_at=now(), annotator="assay", prompt=demo_prompt(walk, text), completion=completion)
        for text, completion in demo_demonstrations()
    ]
    kept = [d for d in demonstrations if folds.split_of(d.prompt) is SplitName.TRAIN]
    walk.workspace.records.put_all([(d, SplitName.TRAIN.value, d.annotator) for d in kept])
    return Outcome({"count": str(len(kept))}, said=f"{len(kept)} demonstrations on training prompts")


def simulate_feedback(walk: Walk) -> Outcome:
    """Sample completions of the tuned model and let the declared panel judge them in pairs."""
    config, folds = walk.config, demo_folds(walk)
    prompts = [p for p in (demo_prompt(walk, d.text) for d in demo_prompts()) if _is_used(folds, p)]
    lm = walk.fresh_model()
    adapter = walk.output("sft", "adapter")
    if adapter is not None:
        load_adapter(lm, walk.workspace.artifacts.path(adapter))
    n = config.sampling.candidates
    sampling = Sampling(max_tokens=config.sampling.max_tokens, seed=stage_seed(config, "candidates"))
    with walk.bar("sampling completions", len(prompts) * n) as advance:
        completions = generate(lm, prompts, sampling, n=n, progress=advance)
    texts = [c.text.strip() for c in completions]
    pairs = _pairs(prompts, texts, n, gold_scale=config.feedback.gold_scale)
    judgements = _ask_panel(walk, folds, pairs)
    imported = Imported("simulated", judgements, [], [])
    summary = import_judgements(walk.workspace.records, imported, folds=folds)
    spread = ", ".join(f"{split} {count}" for split, count in sorted(summary.splits.items()))
    return Outcome(
        {"judgement_set": summary.judgement_set, "judgements": str(summary.judgements)},
        tokens=total_tokens(completions),
        said=f"{summary.judgements} judgements by a simulated panel ({spread})",
    )


def import_feedback(walk: Walk) -> Outcome:
    """Import people's judgements, and demonstrations where given."""
    feedback = walk.config.feedback
    if feedback.judgements is None:
        do = "set feedback.judgements in the recipe, or pass --judgements FILE"
        raise ConfigError(explain(expected="a file of judgements", got="none", do=do))
    said = []
    outputs: dict[str, str] = {}
    for name, path in (("judgements", feedback.judgements), ("demonstrations", feedback.demonstrations)):
        if path is None:
            continue
        imported = read_judgements(path, now=now())
        summary = import_judgements(walk.workspace.records, imported, folds=feedback.folds)
        outputs |= {f"{name}_set": summary.judgement_set, f"{name}_format": summary.format}
        spread = ", ".join(f"{split} {count}" for split, count in sorted(summary.splits.items()))
        said += [f"{path.name} is {summary.format}: {summary.judgements + summary.demonstrations} rows ({spread})"]
        said += list(summary.notes)
    return Outcome(outputs, said="; ".join(said))


def fit_preferences(walk: Walk) -> Outcome:
    """Turn the judgements of each split into preferences; a split with too few is left out, and said so.

    Where the unguarded loop is to run, votes are counted too: they are what its reward is fitted on. With traits the
    views of groups that differ are kept with the preferences that train rewards.
    """
    asked = walk.config.aggregation
    wanted = [(SplitName.TRAIN, asked, SplitName.TRAIN.value), (SplitName.WATCH, asked, SplitName.WATCH.value)]
    wanted.append((SplitName.HELD_OUT, JUDGING_AGGREGATION, SplitName.HELD_OUT.value))
    if walk.config.alignment.unguarded_rounds:
        # First, for single commands go on from the latest aggregation of a split.
        wanted.insert(0, (SplitName.TRAIN, "majority", VOTES))
    source, records, seed = walk.config.traits, walk.workspace.records, stage_seed(walk.config, "groups")
    known = None if source is None else known_traits(records, source)
    outputs, skipped, said = {}, [], []
    for split, method, name in wanted:
        traits = known if name == SplitName.TRAIN.value else None
        try:
            result = aggregate_split(records, split, method=method, now=now(), traits=traits, seed=seed)
        except AssayError as error:
            if split is SplitName.TRAIN:
                raise
            skipped.append(f"no preferences from the {split.value} split: {error}")
            continue
        outputs[name] = result.report.id
        if name != VOTES:
            alpha = "no repeats" if result.report.alpha is None else f"alpha {result.report.alpha:.2f}"
            found = result.report.minority
            groups = "" if found is None else f", {len(found.differences)} groups differ"
            said.append(f"{name} {len(result.preferences)} ({alpha}{groups})")
    return Outcome(outputs, skipped=tuple(skipped), said="preferences: " + ", ".join(said))


def _is_used(folds: Folds, prompt: Prompt) -> bool:
    return folds.split_of(prompt) is not SplitName.SEALED


def _pairs(prompts: list[Prompt], texts: list[str], n: int, *, gold_scale: float) -> list[SimulatedPair]:
    gold = load_gold()
    asked = [last_user_text(prompt) for prompt in prompts for _ in range(n)]
    scores = gold_scale * gold.score(asked, texts)
    pairs = []
    for i, prompt in enumerate(prompts):
        rows = range(i * n, (i + 1) * n)
        pairs += [
            SimulatedPair(prompt, texts[a], texts[b], float(scores[a]), float(scores[b]))
            for a, b in combinations(rows, 2)
            if texts[a] and texts[b] and texts[a] != texts[b]
        ]
    return pairs


def _ask_panel(walk: Walk, folds: Folds, pairs: list[SimulatedPair]) -> list[Judgement]:
    feedback = walk.config.feedback
    rng = np.random.default_rng(stage_seed(walk.config, "panel"))
    judgements = []
    for split, panel in _panels().items():
        mine = [pair for pair in pairs if folds.split_of(pair.prompt) is split]
        judgements += simulate(
            mine,
            panel,
            judgements_per_pair=min(feedback.judgements_per_pair, len(panel)),
            rng=rng,
            now=now(),
            campaign=walk.config.name,
            consent_version="simulated",
            bias_scale=feedback.bias_scale,
        )
    return judgements


def _panels() -> dict[SplitName, list[SimulatedAnnotator]]:
    panel = demo_panel()
    apart = {*WATCH_PANEL, *HELD_OUT_PANEL}
    return {
        SplitName.TRAIN: [p for p in panel if p.name not in apart],
        SplitName.WATCH: [p for p in panel if p.name in WATCH_PANEL],
        SplitName.HELD_OUT: [p for p in panel if p.name in HELD_OUT_PANEL],
    }
