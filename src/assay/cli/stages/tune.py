"""Tune: the policies of a run: SFT, DPO on people's preferences, the unguarded and the guarded loop, best-of-n."""

import os
from collections.abc import Mapping

import numpy as np

from assay.alignment import (
    OnlineDpoSettings,
    RunContext,
    ServedCompletions,
    TrainingRewards,
    Watched,
    best_of_n_path,
    draw_candidates,
    run_dpo,
    run_grpo,
    run_online_dpo,
    run_ppo,
    run_sft,
)
from assay.alignment.rollouts import CompletionSource
from assay.cli.asking import ask_people
from assay.cli.context import console, now
from assay.cli.stages.auditing import open_audit
from assay.cli.stages.learn import PLAIN, choose, open_reward, require_texts_fit
from assay.cli.stages.limited import with_limits
from assay.cli.stages.optimised import open_optimised
from assay.cli.training_line import TrainingLine
from assay.cli.walk import Advance, Outcome, Walk, stage_seed
from assay.lm import Sampling, generate, load_adapter
from assay.monitors import MonitorBank, build_monitors, default_monitors
from assay.monitors.component_dominance import component_names
from assay.monitors.text_statistics import word_count
from assay.records.conversation import Prompt
from assay.records.errors import ConfigError, explain
from assay.records.judgement import Demonstration
from assay.records.observation import Observation
from assay.records.policy import CheckpointRecord, PolicyVersion
from assay.records.preference import Preference
from assay.records.provenance import Provenance, code_version
from assay.records.record import digest
from assay.storage import SplitName

STARTS = ("dpo", "sft")
"""Stages that a later run starts from, the latest first."""


def tune_sft(walk: Walk) -> Outcome:
    """Supervised fine-tuning on the training demonstrations."""
    settings = walk.config.alignment.sft
    demonstrations = walk.workspace.training.all(Demonstration, SplitName.TRAIN)
    if settings is None or not demonstrations:
        why = "the recipe does not ask for it" if settings is None else "there are no demonstrations to train on"
        return Outcome(skipped=(f"supervised fine-tuning: {why}",), said="left out")
    steps = -(-len(demonstrations) // settings.per_device_train_batch_size) * settings.num_train_epochs
    lm = walk.fresh_model()
    require_texts_fit(lm, [(d.prompt, d.completion) for d in demonstrations])
    with walk.bar("fine-tuning on demonstrations", min(steps, settings.max_steps or steps)) as advance:
        policy = run_sft(lm, demonstrations, settings, run_context(walk, "sft", advance))
    return store_policy(walk, policy, f"{len(demonstrations)} demonstrations, {policy.steps_run} steps")


def tune_dpo(walk: Walk) -> Outcome:
    """DPO on people's preferences, watched."""
    settings = walk.config.alignment.dpo
    if settings is None:
        return Outcome(skipped=("DPO on people's preferences: the recipe does not ask for it",), said="left out")
    preferences = dpo_preferences(walk)
    steps = -(-len(preferences) // settings.per_device_train_batch_size) * settings.num_train_epochs
    lm = walk.fresh_model()
    demonstrations = (
        walk.workspace.training.all(Demonstration, SplitName.TRAIN) if settings.demonstrations_share else []
    )
    texts = [(p.prompt, text) for p in preferences for text in (p.chosen, p.rejected)]
    require_texts_fit(lm, [*texts, *((d.prompt, d.completion) for d in demonstrations)])
    with walk.bar("DPO on preferences", min(steps, settings.max_steps or steps)) as advance:
        policy = run_dpo(
            lm,
            preferences,
            settings,
            run_context(walk, "dpo", advance),
            watched_run(walk, has_parts=False),
            start=start_of(walk, ("sft",)),
            demonstrations=demonstrations,
        )
    mixed = f" with {len(demonstrations)} demonstrations" if demonstrations else ""
    return store_policy(walk, policy, f"{len(preferences)} preferences{mixed}; {how_it_ended(policy)}")


def tune_unguarded(walk: Walk) -> Outcome:
    """The loop without Assay: one plain reward, no monitors, all rounds. Only to show what happens."""
    settings, rounds = walk.config.alignment.online_dpo, walk.config.alignment.unguarded_rounds
    if settings is None or not rounds:
        return Outcome(skipped=("the unguarded loop: the recipe does not ask for it",), said="left out")
    free = settings.model_copy(update={"rounds": rounds, "aggregation": PLAIN.aggregation, "is_guarded": False})
    return _online(walk, "unguarded", free, reward="plain")


def tune_guarded(walk: Walk) -> Outcome:
    """The loop with Assay: a conservative ensemble, and monitors that may end it."""
    settings = walk.config.alignment.online_dpo
    if settings is None:
        return Outcome(skipped=("the guarded loop: the recipe does not ask for it",), said="left out")
    return _online(walk, "guarded", settings)


def tune_grpo(walk: Walk) -> Outcome:
    """Policy gradients against the conservative ensemble, with monitors that may end them."""
    settings = walk.config.alignment.grpo
    if settings is None:
        return Outcome(skipped=("GRPO: the recipe does not ask for it",), said="left out")
    watched = watched_run(walk, aggregation=settings.aggregation, is_guarded=settings.is_guarded)
    lm = walk.fresh_model()
    watched = with_limits(walk, lm, watched, settings.constraints, settings.rules)
    completions = len(watched.prompts) * settings.num_generations
    per_round = -(-completions // settings.per_device_train_batch_size) * settings.num_iterations
    steps = per_round * settings.rounds
    with walk.bar("GRPO", min(steps, settings.max_steps or steps)) as advance:
        policy = run_grpo(lm, settings, run_context(walk, "grpo", advance), watched, start=start_of(walk))
    return store_policy(walk, policy, how_it_ended(policy))


def tune_ppo(walk: Walk) -> Outcome:
    """Policy gradients with a critic against the conservative ensemble, with monitors that may end them."""
    settings = walk.config.alignment.ppo
    if settings is None:
        return Outcome(skipped=("PPO: the recipe does not ask for it",), said="left out")
    watched = watched_run(walk, aggregation=settings.aggregation, is_guarded=settings.is_guarded)
    completions = len(watched.prompts) * settings.num_generations
    per_round = -(-completions // settings.per_device_train_batch_size) * settings.num_iterations
    steps = per_round * settings.rounds
    with walk.bar("PPO", min(steps, settings.max_steps or steps)) as advance:
        context = run_context(walk, "ppo", advance)
        policy = run_ppo(walk.fresh_model(), settings, context, watched, start=start_of(walk))
    return store_policy(walk, policy, how_it_ended(policy))


def tune_best_of_n(walk: Walk) -> Outcome:
    """Best-of-n against the ensemble from the start of the loops: the path for n = 1, 2, 4, ..."""
    n = walk.config.alignment.best_of_n
    if n < 2:
        return Outcome(skipped=("best-of-n: the recipe does not ask for it",), said="left out")
    start, lm = start_of(walk), walk.fresh_model()
    if start is not None and start.adapter is not None:
        load_adapter(lm, walk.workspace.artifacts.path(start.adapter))
    optimised = open_optimised(walk)
    prompts = loop_prompts(walk)
    sampling = Sampling(max_tokens=walk.config.sampling.max_tokens, seed=stage_seed(walk.config, "best-of-n"))
    candidates = draw_candidates(lm, prompts, optimised.model, sampling, n=n)
    plain = [[m.model_dump() for m in prompt] for prompt in prompts for _ in range(n)]
    texts = [text for row in candidates.texts for text in row]
    lengths = np.array([word_count(text) for text in texts], dtype=float).reshape(len(prompts), n)
    checkpoints = []
    for point in best_of_n_path(candidates):
        kept = {"prompts": plain, "texts": texts, "weights": point.weights.reshape(-1).tolist()}
        values = {
            "alignment/kl": point.kl,
            "alignment/proxy_reward": point.proxy_reward,
            "completions/mean_length": float((point.weights * lengths).sum(1).mean()),
        }
        samples = walk.workspace.artifacts.add_json(kept)
        observation = Observation(step=point.n, values=values)
        checkpoints.append(CheckpointRecord(step=point.n, adapter=None, observation=observation, samples=samples))
    policy = PolicyVersion(
        created_at=now(),
        name="best-of-n",
        base_model=lm.source,
        adapter=None if start is None else start.adapter,
        ref_policy=None if start is None else start.id,
        method="best_of_n",
        settings={"n": n, "aggregation": optimised.aggregation},
        step=n,
        steps_run=n,
        checkpoints=tuple(checkpoints),
        stop_reason=f"n = {n} candidates",
        training_signals=optimised.signals,
        provenance=Provenance(
            seed=sampling.seed, data_hash=digest(plain), code_version=code_version(), config_hash=walk.config.hash
        ),
    )
    return store_policy(walk, policy, f"n up to {n} on {len(prompts)} prompts")


def _online(walk: Walk, name: str, settings: OnlineDpoSettings, *, reward: str = "proxy") -> Outcome:
    watched = watched_run(walk, reward=reward, aggregation=settings.aggregation, is_guarded=settings.is_guarded)
    lm = walk.fresh_model()
    watched = with_limits(walk, lm, watched, settings.constraints, settings.rules)
    per_round = -(-len(watched.prompts) // settings.per_device_train_batch_size) * settings.epochs_per_round
    steps = per_round * settings.rounds
    with walk.bar(f"{name} loop", min(steps, settings.max_steps or steps)) as advance:
        policy = run_online_dpo(lm, settings, run_context(walk, name, advance), watched, start=start_of(walk))
    return store_policy(walk, policy, how_it_ended(policy))


def run_context(walk: Walk, name: str, advance: Advance) -> RunContext:
    """What a run of that name is handed: its directory, seed and clock, and a line on the terminal a checkpoint."""
    line = TrainingLine()

    def on_checkpoint(observation: Observation) -> None:
        v = observation.values
        advance(0, line.on_checkpoint(v))
        panel = f"panel {v['watch/panel_reward']:+.2f}  " if "watch/panel_reward" in v else ""
        console.print(
            f"    step {observation.step:3d}  KL {v['alignment/kl']:6.2f}  proxy {v['alignment/proxy_reward']:+.2f}  "
            f"{panel}words {v['completions/mean_length']:.1f}{_parts(v)}",
            style="dim",
        )

    return RunContext(
        name=name,
        artifacts=walk.workspace.artifacts,
        directory=walk.scratch / name,
        seed=stage_seed(walk.config, "loop" if name in ("guarded", "unguarded") else name),
        now=now,
        resume=walk.resume,
        on_step=lambda _step, _steps, entry: advance(1, line.on_step(entry)),
        on_checkpoint=on_checkpoint,
        group=walk.group,
        completions=_completions(walk),
    )


def _completions(walk: Walk) -> CompletionSource:
    """What draws the completions of the online methods: this process, or the server that the recipe names."""
    settings = walk.config.alignment.rollouts
    if settings is None:
        return generate
    name = settings.key_variable
    key = None if name is None else os.environ.get(name)
    if name is not None and not key:
        do = f"export {name}, or leave rollouts.key_variable out"
        raise ConfigError(explain(expected=f"the server's key in {name}", got="nothing", do=do))
    return ServedCompletions(settings, key=key)


def _parts(values: Mapping[str, float]) -> str:
    """What the parts of a composite reward contribute, where it is one."""
    return "".join(f"  {name.partition('/')[2]} {values[name]:+.2f}" for name in component_names(values))


def watched_run(
    walk: Walk,
    *,
    reward: str = "proxy",
    aggregation: str | None = None,
    is_guarded: bool = True,
    has_parts: bool = True,
) -> Watched:
    """How a run is watched: training prompts, rewards, the recipe's monitors and its audit.

    `has_parts` is whether it pushes against the parts that the recipe may declare.
    """
    optimised = open_optimised(walk, reward=reward, aggregation=aggregation, has_parts=has_parts)
    watch_id = walk.output("rewards", "watch")
    watch, signals = None, list(optimised.signals)
    if watch_id is not None:
        watch, watch_identity = open_reward(walk, watch_id)
        signals.append(watch_identity)
    asked = walk.config.alignment.monitors
    monitors = default_monitors() if asked is None else build_monitors(asked)
    bank = MonitorBank(monitors) if is_guarded else None
    audit = open_audit(walk) if is_guarded else None
    return Watched(loop_prompts(walk), TrainingRewards(optimised.model, watch), tuple(signals), bank, audit)


def dpo_preferences(walk: Walk) -> list[Preference]:
    """The training preferences of the walk's aggregation, at most the configured number, chosen by the seed."""
    limit, seed = walk.config.alignment.max_preferences, stage_seed(walk.config, "dpo-rows")
    return choose(_preferences(walk), limit, seed=seed)


def loop_prompts(walk: Walk) -> list[Prompt]:
    """Distinct training prompts, at most the configured number, chosen by the seed."""
    prompts = list({p.prompt_id: p.prompt for p in _preferences(walk)}.values())
    order = np.random.default_rng(stage_seed(walk.config, "loop-prompts")).permutation(len(prompts))
    return [prompts[i] for i in order[: walk.config.alignment.max_prompts]]


def _preferences(walk: Walk) -> list[Preference]:
    report = walk.output("preferences", SplitName.TRAIN.value)
    return [p for p in walk.workspace.training.all(Preference, SplitName.TRAIN) if p.aggregation == report]


def start_of(walk: Walk, stages: tuple[str, ...] = STARTS) -> PolicyVersion | None:
    """The policy that a run begins with: the latest of these stages, in their order; None is the base model."""
    for stage in stages:
        policy = walk.output(stage, "policy")
        if policy is not None:
            return walk.workspace.records.get(PolicyVersion, policy)
    return None


def store_policy(walk: Walk, policy: PolicyVersion, said: str) -> Outcome:
    """Keep a policy, and ask people where its alarms want one to look."""
    if walk.group.is_leader:
        walk.workspace.records.put(policy, subject=policy.name)
        ask_people(walk.workspace, policy, policy.alarms)
    return Outcome({"policy": policy.id, "adapter": policy.adapter or ""}, said=said)


def how_it_ended(policy: PolicyVersion) -> str:
    """Steps, the checkpoint that was kept, why the run ended and what rang, in a line."""
    alarms = "no alarm" if not policy.alarms else f"alarms: {', '.join(sorted({a.monitor for a in policy.alarms}))}"
    return f"{policy.steps_run} steps, kept step {policy.step} ({policy.stop_reason}; {alarms})"
