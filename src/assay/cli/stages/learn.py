"""Learn: the rewards that policies are pushed against, and the watch panel that only ever stops a run."""

from collections.abc import Callable, Sequence

import numpy as np

from assay.cli.config import HELD_OUT_REWARD, reward_name_fault
from assay.cli.context import now
from assay.cli.stages.collect import VOTES
from assay.cli.walk import Outcome, Walk, stage_seed
from assay.feedback.withdrawal import outdated
from assay.lm import LanguageModel, encode_pair
from assay.lm.chat import require_context
from assay.records.conversation import Prompt, last_user_text
from assay.records.errors import ConfigError, InputError, TrainingError, explain
from assay.records.identity import FirewallSide, ScorerIdentity
from assay.records.judgement import Demonstration, Judgement
from assay.records.preference import AggregationReport, Preference
from assay.records.provenance import Provenance, code_version
from assay.records.record import digest
from assay.records.reward import RewardVersion
from assay.rewards import RewardSettings, recalibrate
from assay.rewards.kinds import RewardChoice
from assay.rewards.learning import Learnt, Means, Told, amount_of_work, learn
from assay.rewards.protocol import StoredReward
from assay.rewards.stored import open_stored
from assay.storage import SplitName
from assay.storage.firewall import Registration

PLAIN = RewardChoice(feature_maps=("mean-low+surface",), aggregation="single")
"""What one has without Assay: one head on counted votes, no de-biasing, no price for outliers. The unguarded loop
optimises it."""
FROM_JUDGEMENTS = ("attributes", "cost")
"""Kinds that need to know more than which of two was preferred."""
FITTED_ON = {
    "proxy": (SplitName.TRAIN, SplitName.TRAIN.value),
    "plain": (SplitName.TRAIN, VOTES),
    "watch-panel": (SplitName.WATCH, SplitName.WATCH.value),
}
"""Of the rewards with a part of their own: the split that each is fitted on, and which preferences of it.

Any other reward on the training side is fitted on what the proxy is.
"""


def train_rewards(walk: Walk) -> Outcome:
    """Fit proxy and watch panel on different people and prompts, and further rewards and the unguarded loop's if asked.

    The watch panel is an ensemble, whatever the proxy is made of. All are registered as training signals.
    """
    settings = walk.config.reward
    proxy = fit_reward(walk, "proxy", _preferences(walk, "proxy"), settings, side="training")
    outputs = {"proxy": proxy.id}
    for name, choice in walk.config.choices.items():
        outputs[name] = fit_reward(walk, name, _preferences(walk, name), choice, side="training").id
    ensemble = RewardChoice.model_validate({**settings.model_dump(), "kind": "ensemble"})
    if walk.config.alignment.unguarded_rounds:
        plain = PLAIN.model_copy(update={"layers": settings.layers, "directions": settings.directions})
        outputs["plain"] = fit_reward(walk, "plain", _preferences(walk, "plain"), plain, side="training").id
    said = _worth(proxy)
    try:
        watch = fit_reward(walk, "watch-panel", _preferences(walk, "watch-panel"), ensemble, side="training")
        outputs["watch"] = watch.id
        said += f"; watch panel {watch.quality.accuracy:.2f}"
        skipped: tuple[str, ...] = ()
    except TrainingError as error:
        skipped = (f"no watch panel, so the proxy-panel monitor is silent: {error}",)
    return Outcome(outputs, skipped=skipped, said=said)


def train_further(walk: Walk, name: str) -> Outcome:
    """Fit one more reward under a name of its own, for runs to optimise as a part. Raises ConfigError for the name."""
    fault = reward_name_fault(name)
    if fault is not None:
        raise ConfigError(explain(expected=fault, got=repr(name), do="choose another"))
    version = fit_reward(walk, name, _preferences(walk, name), walk.config.reward, side="training")
    return Outcome({name: version.id}, said=_worth(version))


def fit_reward(
    walk: Walk, name: str, preferences: Sequence[Preference], settings: RewardSettings, *, side: FirewallSide
) -> RewardVersion:
    """Train, store and register one reward. Raises TrainingError with too little data, FirewallError on shared data."""
    choice = settings if isinstance(settings, RewardChoice) else RewardChoice(**settings.model_dump())
    if choice.kind == "groups" and preferences:
        require_agreed(walk, preferences[0].aggregation)
    lm = walk.fresh_model()
    require_texts_fit(lm, [(p.prompt, text) for p in preferences for text in (p.chosen, p.rejected)])
    seed = stage_seed(walk.config, name)
    reference = _reference(walk, preferences) if side == "training" and settings.outliers.weight > 0 else ()
    told = Told(preferences, _judgements(walk, name) if choice.kind in FROM_JUDGEMENTS else ())
    doing = "training" if choice.kind == "tuned" else "reading features"
    with walk.bar(f"{name}: {doing}", amount_of_work(told, choice)) as advance:
        learnt = learn(
            told, choice, Means(lm, walk.fresh_model, seed, reference, walk.scratch / "features", progress=advance)
        )
    artifact = walk.workspace.artifacts.add(learnt.reward.save)
    identity = ScorerIdentity(
        name=name, scorer_kind="reward_model", content_hash=artifact, rows=learnt.rows, ancestors=(lm.id,)
    )
    walk.workspace.firewall.register(Registration(created_at=now(), side=side, identity=identity))
    version = _version(learnt, choice, identity, seed=seed, preferences=preferences)
    walk.workspace.records.put(version, subject=name)
    return version


def recalibrate_reward(walk: Walk, version_id: str, method: str) -> RewardVersion:
    """A stored training reward under a new calibration, stored and registered as a reward of its own.

    The temperature or curve is fitted on the prompts that the reward held out of its fit. Raises InputError for a
    reward that judges, or one whose held-out preferences are not in the workspace; TrainingError for too few of them.
    """
    old = walk.workspace.records.get(RewardVersion, version_id)
    if old.name == HELD_OUT_REWARD:
        do = "name a reward of another name; `assay reward show` lists them"
        raise InputError(explain(expected="a reward that trains policies", got=repr(old.name), do=do))
    if old.made_of == "cost":
        do = "train it again: a cost is calibrated on labels, out of fold, when it is fitted"
        raise InputError(explain(expected="a reward that orders pairs", got="a cost", do=do))
    rows, held_out = set(old.identity.rows), set(old.calibration_prompts or ())
    found = _preferences(walk, old.name, report=old.aggregation_report)
    preferences = [p for p in found if p.prompt_id in held_out and rows.issuperset(p.judgements)]
    if not preferences:
        split = _place(old.name)[0].value
        do = f"fit the preferences of split {split} that it was trained on, or train it again"
        raise InputError(explain(expected="preferences that this reward held out of its fit", got="none", do=do))
    reward, identity = open_reward(walk, old.id)
    with walk.bar(f"{old.name}: reading features", _completions(preferences)) as advance:
        made = recalibrate(
            walk.fresh_model(),
            reward,
            preferences,
            method=method,
            rng=np.random.default_rng(stage_seed(walk.config, "calibrate")),
            cache=walk.scratch / "features",
            progress=advance,
        )
    artifact = walk.workspace.artifacts.add(reward.calibrated(made.calibrator).save)
    identity = identity.model_copy(update={"content_hash": artifact})
    walk.workspace.firewall.register(Registration(created_at=now(), side="training", identity=identity))
    changed = {"artifact": artifact, "identity": identity, "quality": made.quality, "calibrated_from": old.id}
    version = RewardVersion.model_validate({**old.model_dump(), "created_at": now(), **changed})
    walk.workspace.records.put(version, subject=old.name)
    return version


def open_reward(
    walk: Walk, version_id: str, *, open_model: Callable[[], LanguageModel] | None = None
) -> tuple[StoredReward, ScorerIdentity]:
    """A stored reward and its identity, its artifact checked against its name.

    A reward with weights of its own is put into the model that `open_model` gives, by default the walk's opened anew.
    """
    version = walk.workspace.records.get(RewardVersion, version_id)
    walk.workspace.artifacts.verify(version.artifact)
    directory = walk.workspace.artifacts.path(version.artifact)
    return open_stored(directory, open_model or walk.fresh_model), version.identity


def require_agreed(walk: Walk, report_id: str) -> None:
    """Raise TrainingError where views of groups rest on what people told and no longer agree to have used."""
    records = walk.workspace.records
    gone = outdated(records, records.get(AggregationReport, report_id))
    if gone:
        got = f"{gone} of them who do not, or told something else since"
        do = f"fit the preferences again: `assay preferences fit -w {walk.workspace.directory} --traits declared`"
        raise TrainingError(explain(expected="views of groups of people who agree to them", got=got, do=do))


def require_texts_fit(lm: LanguageModel, rows: Sequence[tuple[Prompt, str]]) -> None:
    """Raise InputError that lists every prompt that is longer, with its completion, than the model's context."""
    distinct = dict.fromkeys(rows)
    require_context(
        lm, ((f"{last_user_text(prompt)[:60]!r}", encode_pair(lm, prompt, text).length) for prompt, text in distinct)
    )


def _preferences(walk: Walk, reward: str, *, report: str | None = None) -> list[Preference]:
    """The preferences that a named reward is fitted on, at most the configured number, chosen by the seed.

    `report` names another aggregation than the walk's.
    """
    split, output = _place(reward)
    report = report or walk.output("preferences", output)
    found = [p for p in walk.workspace.training.all(Preference, split) if p.aggregation == report]
    return choose(found, walk.config.max_reward_preferences, seed=stage_seed(walk.config, "reward-rows"))


def _place(reward: str) -> tuple[SplitName, str]:
    return FITTED_ON.get(reward, FITTED_ON["proxy"])


def _judgements(walk: Walk, reward: str) -> list[Judgement]:
    """The judgements of the split that a named reward is fitted on."""
    return walk.workspace.training.all(Judgement, _place(reward)[0])


def choose(preferences: list[Preference], limit: int | None, *, seed: int) -> list[Preference]:
    """At most `limit` preferences, chosen by the seed, in their stored order."""
    if limit is None or len(preferences) <= limit:
        return preferences
    rows = np.random.default_rng(seed).choice(len(preferences), size=limit, replace=False)
    return [preferences[i] for i in sorted(rows.tolist())]


def _reference(walk: Walk, preferences: Sequence[Preference]) -> list[tuple[Prompt, str]]:
    """What counts as inside the support: the judged completions, and the training demonstrations."""
    judged = [(p.prompt, text) for p in preferences for text in (p.chosen, p.rejected)]
    shown = walk.workspace.training.all(Demonstration, SplitName.TRAIN)
    return list(dict.fromkeys([*judged, *((d.prompt, d.completion) for d in shown)]))


def _completions(preferences: Sequence[Preference]) -> int:
    return len({(p.prompt_id, text) for p in preferences for text in (p.chosen, p.rejected)})


def _worth(version: RewardVersion) -> str:
    """A line on what a reward is made of and worth."""
    quality = version.quality
    of = f" ({', '.join(part.name for part in version.parts)})" if version.parts else ""
    rows = "labels" if version.made_of == "cost" else "pairs"
    return (
        f"{version.members} members{of} on {version.training_pairs} {rows}: held-out accuracy {quality.accuracy:.2f}, "
        f"NLL {quality.nll:.3f}, ECE {quality.ece:.3f} (before scaling {quality.ece_before:.3f})"
    )


def _version(
    learnt: Learnt, choice: RewardChoice, identity: ScorerIdentity, *, seed: int, preferences: Sequence[Preference]
) -> RewardVersion:
    return RewardVersion(
        created_at=now(),
        name=identity.name,
        artifact=identity.content_hash,
        backbone=identity.ancestors[0],
        layer=learnt.layer,
        members=len(learnt.reward.members),
        feature_maps=learnt.feature_maps,
        aggregation=learnt.reward.aggregation,
        quality=learnt.quality,
        member_accuracy=learnt.member_accuracy,
        identity=identity,
        training_pairs=learnt.fitted,
        calibration_prompts=learnt.calibration_prompts,
        aggregation_report=preferences[0].aggregation,
        made_of=None if choice.kind == "ensemble" else choice.kind,
        parts=learnt.parts,
        notes=learnt.notes,
        provenance=Provenance(
            seed=seed,
            data_hash=digest(sorted(p.id for p in preferences)),
            code_version=code_version(),
            config_hash=digest(choice.of_kind.model_dump(mode="json")),
        ),
    )
