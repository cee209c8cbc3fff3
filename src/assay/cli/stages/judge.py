"""Judge: the policy against the base model, by raters that training never used, with what it may have broken.

Beside the panel stand the curves (proxy and gold against sqrt(KL)) of every loop. Gold exists in the demo only.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from assay.cli.context import now
from assay.cli.stages.collect import demo_folds, demo_prompt
from assay.cli.stages.learn import fit_reward, open_reward
from assay.cli.walk import Outcome, Walk, stage_seed
from assay.evaluation import (
    Exhibits,
    GoldRater,
    Pairs,
    RewardRater,
    RubricRater,
    build_curve,
    check_regressions,
    evaluate,
    fit_lexical,
    load_gold,
)
from assay.evaluation.gold_curve import gold_curves
from assay.evaluation.raters import Rater
from assay.evaluation.under_test import under_test
from assay.feedback.prompts import demo_prompts
from assay.lm import LanguageModel, Sampling, generate, load_adapter, using_adapter
from assay.records.conversation import Message, Prompt, last_user_text
from assay.records.errors import AssayError
from assay.records.evidence import Curve, RegressionCheck
from assay.records.identity import ScorerIdentity
from assay.records.judgement import Judgement
from assay.records.policy import PolicyVersion
from assay.records.preference import Preference
from assay.records.provenance import Provenance, code_version
from assay.records.record import digest
from assay.rewards import RewardSettings
from assay.rewards.protocol import StoredReward, reading
from assay.storage import SplitName
from assay.storage.firewall import Registration

LOOPS = ("unguarded", "guarded", "grpo", "ppo", "best-of-n-sft", "gkd", "dpo", "best-of-n")
"""Stages whose paths are drawn."""
CANDIDATES = ("gkd", "best-of-n-sft", "ppo", "grpo", "guarded", "dpo", "sft")
"""Stages whose policy may be judged for release, the latest first."""


class HeldOutReward:
    """A held-out reward as the scorer that the reward rater takes: conversations and completions to rewards.

    What was scored is kept: a rater is asked in both orders.
    """

    def __init__(self, lm: LanguageModel, reward: StoredReward, identity: ScorerIdentity) -> None:
        self._reward, self.identity = reading(reward, lm), identity
        self._known: dict[tuple[Prompt, str], float] = {}

    def score(self, prompts: Sequence[Any], completions: Sequence[str]) -> np.ndarray:
        """Rewards [n]."""
        asked = list(zip(prompts, completions, strict=True))
        new = [pair for pair in dict.fromkeys(asked) if pair not in self._known]
        if new:
            found = self._reward.score_texts([p for p, _ in new], [c for _, c in new])
            self._known |= dict(zip(new, found.reward.tolist(), strict=True))
        return np.array([self._known[pair] for pair in asked])


def judge_latest(walk: Walk) -> Outcome:
    """Judge the latest policy of the walk."""
    policy = next((found for name in CANDIDATES if (found := walk.output(name, "policy"))), None)
    if policy is None:
        return Outcome(skipped=("evaluation: no policy was tuned",), said="left out")
    return judge(walk, walk.workspace.records.get(PolicyVersion, policy))


def judge(walk: Walk, policy: PolicyVersion) -> Outcome:
    """Hear the raters on held-out prompts, check what broke, draw the curves, and write the evidence."""
    workspace, config = walk.workspace, walk.config
    lm = walk.fresh_model()
    if policy.adapter is not None:
        load_adapter(lm, workspace.artifacts.path(policy.adapter))
    prompts = _held_out_prompts(walk)
    pairs, tokens = _sample_pairs(walk, lm, prompts)
    raters, held_out, skipped = _raters(walk, lm, prompts)
    with walk.bar("checking what may have broken", 2) as advance:
        regressions = _regressions(walk, lm)
        advance(2)
    curves = _curves(walk)
    evidence = evaluate(
        pairs,
        raters,
        policy=policy,
        reference=walk.output("model", "policy") or "",
        firewall=workspace.firewall.report(),
        exhibits=Exhibits(
            regressions=regressions,
            curves=curves,
            held_out=tuple(held_out),
            skipped=tuple(skipped),
            is_simulated=_is_simulated(walk),
        ),
        provenance=Provenance(
            seed=stage_seed(config, "evaluation"),
            data_hash=digest([list(pairs.prompts), list(pairs.policy), list(pairs.reference)]),
            code_version=code_version(),
            config_hash=config.hash,
        ),
        now=now(),
    )
    workspace.records.put(evidence, subject=policy.id)
    said = f"{evidence.verdict}: {evidence.reason}"
    return Outcome({"evidence": evidence.id, "policy": policy.id}, tokens=tokens, skipped=tuple(skipped), said=said)


def _is_simulated(walk: Walk) -> bool:
    """Whether simulated people judged here, also where their judgements came from a file or an earlier run."""
    return any(judgement.source == "simulated" for judgement in walk.workspace.records.all(Judgement))


def _held_out_prompts(walk: Walk) -> list[Prompt]:
    """Held-out prompts, at most the configured number, chosen by the seed."""
    if walk.config.feedback.source == "simulated":
        folds = demo_folds(walk)
        every = [demo_prompt(walk, p.text) for p in demo_prompts()]
        prompts = [p for p in every if folds.split_of(p) is SplitName.HELD_OUT]
    else:
        prompts = list({p.prompt_id: p.prompt for p in _held_out_preferences(walk)}.values())
    order = np.random.default_rng(stage_seed(walk.config, "held-out-prompts")).permutation(len(prompts))
    return [prompts[i] for i in sorted(order[: walk.config.evaluation.max_prompts].tolist())]


def _held_out_preferences(walk: Walk) -> list[Preference]:
    report = walk.output("preferences", SplitName.HELD_OUT.value)
    found = walk.workspace.evaluation.all(Preference, SplitName.HELD_OUT)
    return [p for p in found if p.aggregation == report]


def _sample_pairs(walk: Walk, lm: LanguageModel, prompts: list[Prompt]) -> tuple[Pairs, int]:
    asked = walk.config.evaluation
    seed = stage_seed(walk.config, "evaluation")
    sampling = Sampling(max_tokens=asked.max_tokens, temperature=asked.temperature, seed=seed)
    with walk.bar("answering held-out prompts", 2 * len(prompts)) as advance:
        ours = generate(lm, prompts, sampling, progress=advance)
        with using_adapter(lm, None):
            theirs = generate(lm, prompts, sampling, progress=advance)
    texts = [last_user_text(prompt) for prompt in prompts]
    tokens = sum(len(c.token_ids) for c in (*ours, *theirs))
    return Pairs(texts, [c.text for c in ours], [c.text for c in theirs]), tokens


def _raters(walk: Walk, lm: LanguageModel, prompts: list[Prompt]) -> tuple[list[Rater], list[Preference], list[str]]:
    """The panel, the preferences kept apart to check it against people, and what could not be had.

    Held-out preferences are divided by prompt into three: one fits the held-out reward, one the lexical rater, one
    checks them all.
    """
    raters: list[Rater] = [RubricRater()]
    skipped: list[str] = []
    for_reward, for_lexical, check = _thirds(_held_out_preferences(walk))
    try:
        raters.append(_reward_rater(walk, lm, for_reward, {last_user_text(p): p for p in prompts}))
    except AssayError as error:
        skipped.append(f"rater held-out preferences: {error}")
    try:
        raters.append(fit_lexical(for_lexical, seed=stage_seed(walk.config, "lexical")))
    except AssayError as error:
        skipped.append(f"rater lexical: {error}")
    if walk.config.feedback.source == "simulated":
        raters.append(GoldRater(load_gold()))
    else:
        skipped.append("gold: only the demo's own run has one; the raters and the held-out labels stand in")
    for rater in raters:
        walk.workspace.firewall.register(Registration(created_at=now(), side="evaluation", identity=rater.identity))
    return raters, check, skipped


def _reward_rater(
    walk: Walk, lm: LanguageModel, preferences: list[Preference], by_text: dict[str, Prompt]
) -> RewardRater:
    settings = RewardSettings(feature_maps=("mean-both",), layers=walk.config.reward.layers, aggregation="mean")
    version = fit_reward(walk, "held-out-reward", preferences, settings, side="evaluation")
    reward, identity = open_reward(walk, version.id)
    known = by_text | {last_user_text(p.prompt): p.prompt for p in preferences}
    known |= {last_user_text(p.prompt): p.prompt for p in _held_out_preferences(walk)}

    def as_prompt(text: str) -> Prompt:
        return known.get(text) or (Message(role="user", content=text),)

    return RewardRater(
        HeldOutReward(lm, reward, identity), temperature=reward.calibrator.temperature, as_prompt=as_prompt
    )


def _thirds(preferences: list[Preference]) -> tuple[list[Preference], list[Preference], list[Preference]]:
    """Three parts by prompt: about half, a quarter and a quarter of the prompts."""
    parts: tuple[list[Preference], list[Preference], list[Preference]] = ([], [], [])
    for preference in preferences:
        place = int(preference.prompt_id[:8], 16) % 4
        parts[max(0, place - 1)].append(preference)
    return parts


def _regressions(walk: Walk, lm: LanguageModel) -> tuple[RegressionCheck, ...]:
    return check_regressions(under_test(lm), under_test(lm, is_reference=True), seeds=walk.config.evaluation.seeds)


def _curves(walk: Walk) -> tuple[Curve, ...]:
    """A curve a loop, in the reference's standard deviations; with gold where it exists."""
    found = [(name, walk.output(name, "policy")) for name in LOOPS]
    policies = [(name, walk.workspace.records.get(PolicyVersion, p)) for name, p in found if p]
    if walk.config.feedback.source != "simulated":
        return tuple(
            build_curve(p.checkpoints, policy=p.id, name=name, stop_step=p.step)
            for name, p in policies
            if p.checkpoints
        )
    return gold_curves(policies, load_gold(), read=walk.workspace.artifacts.read_json)
