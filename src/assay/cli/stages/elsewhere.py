"""Elsewhere: a run that is written for another trainer instead of run here, from the records that it would take."""

from collections.abc import Sequence
from pathlib import Path

from assay.alignment.exchange import MODEL, Bundle, Job, Peer, ServedReward, bundle_for, write_bundle
from assay.alignment.exchange.job import Settings
from assay.alignment.exchange.rows import Source
from assay.alignment.settings import DpoSettings, GrpoSettings, SftSettings
from assay.cli.stages.tune import STARTS, dpo_preferences, loop_prompts, start_of
from assay.cli.walk import Walk, stage_seed
from assay.lm import load_adapter
from assay.lm.bundled import bundled_directory
from assay.lm.merging import save_merged
from assay.records.errors import ConfigError, explain
from assay.records.judgement import Demonstration
from assay.records.provenance import Provenance, code_version
from assay.records.record import digest
from assay.records.reward import RewardVersion
from assay.storage import SplitName


def export_run(walk: Walk, method: str, peer: Peer, directory: Path) -> Bundle:
    """Write the run of a method for another trainer. Raises ConfigError for what that one cannot do."""
    settings: Settings | None = getattr(walk.config.alignment, method)
    if settings is None:
        raise ConfigError(explain(expected=f"settings of {method}", got="none", do=f"add `{method}` to the settings"))
    records, starts = _records(walk, settings)
    start, lm = start_of(walk, starts), walk.fresh_model()
    is_merged = start is not None and start.adapter is not None
    if start is not None and start.adapter is not None:
        load_adapter(lm, walk.workspace.artifacts.path(start.adapter))
    job = Job(
        settings,
        records,
        model=MODEL if is_merged else _source(walk.config.model),
        context_length=lm.context_length,
        seed=stage_seed(walk.config, method),
        reward=_reward(walk, settings),
    )
    bundle = bundle_for(peer, job)
    provenance = Provenance(
        seed=job.seed,
        data_hash=digest([_plain(record) for record in records]),
        code_version=code_version(),
        config_hash=digest(settings.model_dump(mode="json")),
    )
    model = (lambda place: save_merged(lm, place)) if is_merged else None
    write_bundle(directory, bundle, provenance, model=model)
    return bundle


def _records(walk: Walk, settings: Settings) -> tuple[Sequence[Source], tuple[str, ...]]:
    """What the run learns from, and the stages that it may start from."""
    if isinstance(settings, SftSettings):
        return walk.workspace.training.all(Demonstration, SplitName.TRAIN), ()
    if isinstance(settings, DpoSettings):
        return dpo_preferences(walk), ("sft",)
    return loop_prompts(walk), STARTS


def _reward(walk: Walk, settings: Settings) -> ServedReward | None:
    """The proxy, where the run samples.

    Raises ConfigError where the run would put its members together otherwise, or pushes against more than the proxy.
    """
    proxy = walk.output("rewards", "proxy")
    if proxy is None or not isinstance(settings, GrpoSettings):
        return None
    if walk.config.alignment.reward_parts is not None:
        got = f"parts: {', '.join(walk.config.alignment.reward_parts)}"
        do = "leave reward_parts out, or run it here"
        raise ConfigError(explain(expected="the learnt reward alone, which is what is served", got=got, do=do))
    trained = walk.workspace.records.get(RewardVersion, proxy).aggregation
    if trained != settings.aggregation:
        do = f"train a reward with `--set aggregation={settings.aggregation}`, or set grpo.aggregation to {trained}"
        got = f"a reward trained with {trained}, which is how it is served"
        raise ConfigError(explain(expected=f"a reward with the aggregation {settings.aggregation}", got=got, do=do))
    return ServedReward(walk.workspace.directory.resolve(), proxy)


def _plain(record: Source) -> object:
    return [message.model_dump() for message in record] if isinstance(record, tuple) else record.id


def _source(model: str) -> str:
    """Where another program finds the model: the bundled one and local directories by their path."""
    path = bundled_directory() if model == "default" else Path(model)
    return str(path.resolve()) if path.is_dir() else model
