"""Learn: the rewards that policies are pushed against, and the watch panel that only ever stops a run."""

from collections.abc import Sequence

import numpy as np

from assay.cli.context import now
from assay.cli.stages.collect import VOTES
from assay.cli.walk import Outcome, Walk, stage_seed
from assay.lm import LanguageModel, encode_pair
from assay.lm.chat import require_context
from assay.records.conversation import Prompt, last_user_text
from assay.records.errors import InputError, TrainingError, explain
from assay.records.identity import FirewallSide, ScorerIdentity
from assay.records.judgement import Demonstration
from assay.records.preference import Preference
from assay.records.provenance import Provenance, code_version
from assay.records.record import digest
from assay.records.reward import RewardVersion
from assay.rewards import RewardEnsemble, RewardSettings, TrainedReward, recalibrate, train_reward
from assay.storage import SplitName, Workspace
from assay.storage.firewall import Registration

PLAIN = RewardSettings(feature_maps=("mean-low+surface",), aggregation="single")
"""What one has without Assay: one head on counted votes, no de-biasing, no price for outliers. The unguarded loop
optimises it."""
FITTED_ON = {
    "proxy": (SplitName.TRAIN, SplitName.TRAIN.value),
    "plain": (SplitName.TRAIN, VOTES),
    "watch-panel": (SplitName.WATCH, SplitName.WATCH.value),
}
"""The rewards on the training side; of each the split that it was fitted on, and which preferences of it."""


def train_rewards(walk: Walk) -> Outcome:
    """Fit proxy and watch panel on different people and prompts, and where the unguarded loop is to run, its reward.

    All are registered as training signals.
    """
    settings = walk.config.reward
    proxy = fit_reward(walk, "proxy", _preferences(walk, "proxy"), settings, side="training")
    outputs = {"proxy": proxy.id}
    if walk.config.alignment.unguarded_rounds:
        plain = PLAIN.model_copy(update={"layers": settings.layers, "directions": settings.directions})
        outputs["plain"] = fit_reward(walk, "plain", _preferences(walk, "plain"), plain, side="training").id
    quality = proxy.quality
    said = (
        f"{proxy.members} members on {proxy.training_pairs} pairs: held-out accuracy {quality.accuracy:.2f}, "
        f"NLL {quality.nll:.3f}, ECE {quality.ece:.3f} (before scaling {quality.ece_before:.3f})"
    )
    try:
        watch = fit_reward(walk, "watch-panel", _preferences(walk, "watch-panel"), settings, side="training")
        outputs["watch"] = watch.id
        said += f"; watch panel {watch.quality.accuracy:.2f}"
        skipped: tuple[str, ...] = ()
    except TrainingError as error:
        skipped = (f"no watch panel, so the proxy-panel monitor is silent: {error}",)
    return Outcome(outputs, skipped=skipped, said=said)


def fit_reward(
    walk: Walk, name: str, preferences: Sequence[Preference], settings: RewardSettings, *, side: FirewallSide
) -> RewardVersion:
    """Train, store and register one reward. Raises TrainingError with too little data, FirewallError on shared data."""
    lm = walk.fresh_model()
    require_texts_fit(lm, [(p.prompt, text) for p in preferences for text in (p.chosen, p.rejected)])
    seed = stage_seed(walk.config, name)
    reference = _reference(walk, preferences) if side == "training" and settings.outliers.weight > 0 else ()
    with walk.bar(f"{name}: reading features", _completions(preferences)) as advance:
        trained = train_reward(
            lm,
            preferences,
            settings,
            seed=seed,
            reference=reference,
            cache=walk.scratch / "features",
            progress=advance,
        )
    artifact = walk.workspace.artifacts.add(trained.ensemble.save)
    rows = tuple(sorted({row for p in preferences for row in p.judgements}))
    identity = ScorerIdentity(
        name=name, scorer_kind="reward_model", content_hash=artifact, rows=rows, ancestors=(lm.id,)
    )
    walk.workspace.firewall.register(Registration(created_at=now(), side=side, identity=identity))
    version = _version(walk, name, trained, settings, identity, seed=seed, preferences=preferences)
    walk.workspace.records.put(version, subject=name)
    return version


def recalibrate_reward(walk: Walk, version_id: str, method: str) -> RewardVersion:
    """A stored training reward under a new calibration, stored and registered as a reward of its own.

    The temperature or curve is fitted on the prompts that the reward held out of its fit. Raises InputError for a
    reward that judges, or one whose held-out preferences are not in the workspace; TrainingError for too few of them.
    """
    old = walk.workspace.records.get(RewardVersion, version_id)
    if old.name not in FITTED_ON:
        do = f"name one of the rewards {', '.join(FITTED_ON)}; `assay reward show` lists them"
        raise InputError(explain(expected="a reward that trains policies", got=repr(old.name), do=do))
    rows, held_out = set(old.identity.rows), set(old.calibration_prompts or ())
    found = _preferences(walk, old.name, report=old.aggregation_report)
    preferences = [p for p in found if p.prompt_id in held_out and rows.issuperset(p.judgements)]
    if not preferences:
        split = FITTED_ON[old.name][0].value
        do = f"fit the preferences of split {split} that it was trained on, or train it again"
        raise InputError(explain(expected="preferences that this reward held out of its fit", got="none", do=do))
    ensemble, identity = open_reward(walk.workspace, old.id)
    with walk.bar(f"{old.name}: reading features", _completions(preferences)) as advance:
        made = recalibrate(
            walk.fresh_model(),
            ensemble,
            preferences,
            method=method,
            rng=np.random.default_rng(stage_seed(walk.config, "calibrate")),
            cache=walk.scratch / "features",
            progress=advance,
        )
    artifact = walk.workspace.artifacts.add(made.ensemble.save)
    identity = identity.model_copy(update={"content_hash": artifact})
    walk.workspace.firewall.register(Registration(created_at=now(), side="training", identity=identity))
    changed = {"artifact": artifact, "identity": identity, "quality": made.quality, "calibrated_from": old.id}
    version = RewardVersion.model_validate({**old.model_dump(), "created_at": now(), **changed})
    walk.workspace.records.put(version, subject=old.name)
    return version


def open_reward(workspace: Workspace, version_id: str) -> tuple[RewardEnsemble, ScorerIdentity]:
    """A stored reward and its identity, its artifact checked against its name."""
    version = workspace.records.get(RewardVersion, version_id)
    workspace.artifacts.verify(version.artifact)
    return RewardEnsemble.open(workspace.artifacts.path(version.artifact)), version.identity


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
    split, output = FITTED_ON[reward]
    report = report or walk.output("preferences", output)
    found = [p for p in walk.workspace.training.all(Preference, split) if p.aggregation == report]
    return choose(found, walk.config.max_reward_preferences, seed=stage_seed(walk.config, "reward-rows"))


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


def _version(
    walk: Walk,
    name: str,
    trained: TrainedReward,
    settings: RewardSettings,
    identity: ScorerIdentity,
    *,
    seed: int,
    preferences: Sequence[Preference],
) -> RewardVersion:
    return RewardVersion(
        created_at=now(),
        name=name,
        artifact=identity.content_hash,
        backbone=identity.ancestors[0],
        layer=trained.ensemble.layers[-1],
        members=len(trained.ensemble.members),
        feature_maps=settings.feature_maps,
        aggregation=settings.aggregation,
        quality=trained.quality,
        member_accuracy=trained.member_accuracy,
        identity=identity,
        training_pairs=trained.fitted_pairs,
        calibration_prompts=trained.calibration_prompts,
        aggregation_report=preferences[0].aggregation,
        provenance=Provenance(
            seed=seed,
            data_hash=digest(sorted(p.id for p in preferences)),
            code_version=code_version(),
            config_hash=digest(settings.model_dump(mode="json")),
        ),
    )
