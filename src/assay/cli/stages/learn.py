"""Learn: the proxy reward that policies are pushed against, and the watch panel that only ever stops a run."""

from collections.abc import Sequence

import numpy as np

from assay.cli.context import now
from assay.cli.walk import Outcome, Walk, stage_seed
from assay.lm import LanguageModel, encode_pair
from assay.records.conversation import Prompt, last_user_text
from assay.records.errors import InputError, TrainingError, explain
from assay.records.identity import FirewallSide, ScorerIdentity
from assay.records.preference import Preference
from assay.records.provenance import Provenance, code_version
from assay.records.record import digest
from assay.records.reward import RewardVersion
from assay.rewards import RewardEnsemble, RewardSettings, TrainedReward, train_reward
from assay.storage import SplitName, Workspace
from assay.storage.firewall import Registration


def train_rewards(walk: Walk) -> Outcome:
    """Fit proxy and watch panel on different people and prompts; register both as training signals."""
    settings = walk.config.reward
    proxy = fit_reward(walk, "proxy", _preferences(walk, SplitName.TRAIN), settings, side="training")
    outputs = {"proxy": proxy.id}
    quality = proxy.quality
    said = (
        f"{proxy.members} members on {proxy.training_pairs} pairs: held-out accuracy {quality.accuracy:.2f}, "
        f"NLL {quality.nll:.3f}, ECE {quality.ece:.3f} (before scaling {quality.ece_before:.3f})"
    )
    try:
        watch = fit_reward(walk, "watch-panel", _preferences(walk, SplitName.WATCH), settings, side="training")
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
    require_context(lm, [(p.prompt, text) for p in preferences for text in (p.chosen, p.rejected)])
    seed = stage_seed(walk.config, name)
    with walk.bar(f"{name}: reading features", _completions(preferences)) as advance:
        trained = train_reward(lm, preferences, settings, seed=seed, cache=walk.scratch / "features", progress=advance)
    artifact = walk.workspace.artifacts.add(trained.ensemble.save)
    rows = tuple(sorted({row for p in preferences for row in p.judgements}))
    identity = ScorerIdentity(
        name=name, scorer_kind="reward_model", content_hash=artifact, rows=rows, ancestors=(lm.id,)
    )
    walk.workspace.firewall.register(Registration(created_at=now(), side=side, identity=identity))
    version = _version(walk, name, trained, settings, identity, seed=seed, preferences=preferences)
    walk.workspace.records.put(version, subject=name)
    return version


def open_reward(workspace: Workspace, version_id: str) -> tuple[RewardEnsemble, ScorerIdentity]:
    """A stored reward and its identity, its artifact checked against its name."""
    version = workspace.records.get(RewardVersion, version_id)
    workspace.artifacts.verify(version.artifact)
    return RewardEnsemble.open(workspace.artifacts.path(version.artifact)), version.identity


def require_context(lm: LanguageModel, rows: Sequence[tuple[Prompt, str]]) -> None:
    """Raise InputError that lists every prompt that is longer, with its completion, than the model's context."""
    faults = []
    for prompt, completion in dict.fromkeys(rows):
        pair = encode_pair(lm, prompt, completion)
        length = len(pair.prompt) + len(pair.completion)
        if length > lm.context_length:
            faults.append(f"{length} tokens: {last_user_text(prompt)[:60]!r}")
    if faults:
        do = "shorten or leave these out, or take a model with a longer context"
        expected = f"prompts with completions of at most {lm.context_length} tokens, the context of {lm.source!r}"
        raise InputError(explain(expected=expected, got=f"{len(faults)} longer", do=do), faults[:50])


def _preferences(walk: Walk, split: SplitName) -> list[Preference]:
    """The preferences of the split's latest aggregation, at most the configured number, chosen by the seed."""
    report = walk.output("preferences", split.value)
    found = [p for p in walk.workspace.training.all(Preference, split) if p.aggregation == report]
    return choose(found, walk.config.max_reward_preferences, seed=stage_seed(walk.config, "reward-rows"))


def choose(preferences: list[Preference], limit: int | None, *, seed: int) -> list[Preference]:
    """At most `limit` preferences, chosen by the seed, in their stored order."""
    if limit is None or len(preferences) <= limit:
        return preferences
    rows = np.random.default_rng(seed).choice(len(preferences), size=limit, replace=False)
    return [preferences[i] for i in sorted(rows.tolist())]


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
        provenance=Provenance(
            seed=seed,
            data_hash=digest(sorted(p.id for p in preferences)),
            code_version=code_version(),
            config_hash=digest(settings.model_dump(mode="json")),
        ),
    )
