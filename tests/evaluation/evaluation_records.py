"""Synthetic records: two policies, the evidence on one of them, and the dossier that a report needs."""

from datetime import UTC, datetime

import numpy as np

from assay.evaluation.curve import build_curve, scale_of
from assay.evaluation.report import Dossier
from assay.records.decision import Approval, ChangeRequest, Decision, GateResult
from assay.records.evidence import Estimate, Evidence, FirewallReport, RaterReport, RegressionCheck, SamplePair
from assay.records.identity import ScorerIdentity
from assay.records.observation import Alarm, Observation
from assay.records.policy import CheckpointRecord, PolicyVersion
from assay.records.preference import AggregationReport, AnnotatorProfile
from assay.records.provenance import Provenance
from assay.records.reward import ReliabilityBin, RewardQuality, RewardVersion
from assay.records.run import StageRecord
from assay.storage.ledger import Checkpoint

NOW = datetime(2026, 11, 24, 14, 5, tzinfo=UTC)
PROVENANCE = Provenance(seed=7, data_hash="d" * 64, code_version="0.1.0+src.0123456789ab", config_hash="c" * 64)
TRAINING = ScorerIdentity(name="reward ensemble", scorer_kind="reward_model", content_hash="a" * 64, rows=("j1", "j2"))


def estimate(value: float, half: float, n: int = 96) -> Estimate:
    return Estimate(value=value, low=value - half, high=value + half, n=n, method="exact")


def checkpoint(step: int, kl: float, proxy: float, length: float = 30.0) -> CheckpointRecord:
    values = {"alignment/kl": kl, "alignment/proxy_reward": proxy, "completions/mean_length": length}
    return CheckpointRecord(step=step, adapter=None, observation=Observation(step=step, values=values))


def run(name: str, *, stop_at: int, steps: int, alarms: tuple[Alarm, ...] = (), why: str = "") -> PolicyVersion:
    path = [checkpoint(s, 0.00075 * s**2, 2.2 * s / (s + 40), 28 + 0.18 * s) for s in range(0, steps + 1, 10)]
    return PolicyVersion(
        created_at=NOW,
        name=name,
        base_model="SmolLM2-135M-Instruct",
        adapter=None,
        ref_policy="reference",
        method="online_dpo",
        step=stop_at,
        steps_run=steps,
        checkpoints=tuple(path),
        alarms=alarms,
        monitors=("disagreement", "length drift", "latent outliers"),
        stop_reason=why,
        training_signals=(TRAINING,),
        provenance=PROVENANCE,
    )


def curve_of(policy: PolicyVersion, rng: np.random.Generator):
    gold = {p.step: rng.normal(1.3 * p.step / 60 * np.exp(1 - p.step / 60), 1, 160) for p in policy.checkpoints}
    scale = scale_of(rng.normal(0, 1, 4000))
    return build_curve(
        policy.checkpoints, gold, policy=policy.id, name=policy.name, stop_step=policy.step, gold_scale=scale
    )


def rater_report(name: str, kind: str, value: float, adjusted: float, n: int = 96) -> RaterReport:
    wins = round(value * n)
    return RaterReport(
        identity=ScorerIdentity(name=name, scorer_kind=kind, content_hash=name.encode().hex().ljust(64, "0")[:64]),
        wins=wins - 6,
        losses=n - wins - 6,
        ties=12,
        win_rate=estimate(value, 0.09, n),
        adjusted_win_rate=estimate(adjusted, 0.1, n),
        order_flips=0.02,
        human_agreement=estimate(0.71, 0.05, 240),
    )


def make_policies() -> tuple[PolicyVersion, PolicyVersion]:
    alarms = (
        Alarm(
            created_at=NOW,
            monitor="latent outliers",
            step=70,
            message="11% of completions lie outside what the reward was fitted on (limit 8%).",
            action="roll_back_to_checkpoint",
            value=0.11,
            threshold=0.08,
        ),
        Alarm(
            created_at=NOW,
            monitor="length drift",
            step=80,
            message="Completions are 1.5 times as long as the reference's.",
            action="raise_kl_coef",
            value=1.5,
            threshold=1.4,
        ),
    )
    why = "latent outliers rang at step 70; the last checkpoint before it is step 60."
    guarded = run("guarded", stop_at=60, steps=80, alarms=alarms, why=why)
    return guarded, run("unguarded", stop_at=200, steps=200, why="All steps were run; nothing was watching.")


def make_evidence(policies) -> Evidence:
    rng = np.random.default_rng(3)
    raters = (
        rater_report("gold", "gold", 0.72, 0.70),
        rater_report("rubric", "rule", 0.66, 0.62),
        rater_report("lexical", "judge", 0.64, 0.56),
        rater_report("held-out preferences", "reward_model", 0.69, 0.64),
    )
    samples = tuple(
        SamplePair(
            prompt=f"Why is the sky blue? ({n})",
            reference="Great question! I'm so glad you asked. The sky is blue because the sky is a colour that is",
            policy="Sunlight is scattered by the molecules of the air. Blue light has a short wavelength and is "
            "scattered most, so it reaches us from every direction.",
        )
        for n in range(1, 7)
    )
    return Evidence(
        created_at=NOW,
        policy=policies[0].id,
        reference="reference",
        verdict="SHIP",
        reason="The panel prefers it to its reference at equal length in 65% [56%, 74%] of pairs, no rater is "
        "against it, and no general ability broke.",
        firewall=FirewallReport(
            training=(TRAINING,),
            evaluation=tuple(one.identity for one in raters),
            is_clean=True,
            warnings=(
                "reward ensemble (training) and held-out preferences (evaluation) start from the same checkpoint",
            ),
        ),
        raters=raters,
        rater_agreement=0.41,
        regressions=(
            RegressionCheck(
                name="perplexity of plain text",
                reference=31.2,
                policy=31.9,
                noise_floor=1.8,
                higher_is_better=False,
                is_broken=False,
            ),
            RegressionCheck(
                name="facts, sums and copying",
                reference=0.54,
                policy=0.52,
                noise_floor=0.06,
                higher_is_better=True,
                is_broken=False,
            ),
        ),
        curves=tuple(curve_of(policy, rng) for policy in policies),
        samples=samples,
        metrics={"evaluation/panel_adjusted_win_rate": estimate(0.65, 0.09)},
        skipped=("The red-team loop was left out: it needs --thorough.",),
        is_simulated=True,
        prompts=96,
        provenance=PROVENANCE,
    )


def make_dossier(policies, evidence) -> Dossier:
    bins = [(0.55, 0.53, 40), (0.65, 0.67, 61), (0.75, 0.72, 58), (0.85, 0.86, 47), (0.95, 0.93, 30)]
    quality = RewardQuality(
        pairs=236,
        accuracy=0.74,
        nll=0.53,
        ece=0.021,
        ece_before=0.094,
        temperature=1.8,
        reliability=tuple(ReliabilityBin(predicted=p, observed=o, count=n) for p, o, n in bins),
        length_correlation=0.12,
    )
    reward = RewardVersion(
        created_at=NOW,
        name="ensemble of five",
        artifact="f" * 64,
        backbone="SmolLM2-135M-Instruct",
        layer=20,
        members=5,
        feature_maps=("mean", "last"),
        aggregation="pessimistic",
        quality=quality,
        member_accuracy=(0.7, 0.72, 0.71, 0.73, 0.7),
        identity=TRAINING,
        training_pairs=900,
        provenance=PROVENANCE,
    )
    people = tuple(
        AnnotatorProfile(annotator=f"p{n}", judgements=90, reliability=1.0, side_bias=0.1, agreement=0.8)
        for n in range(12)
    )
    aggregation = AggregationReport(
        created_at=NOW,
        method="joint_bradley_terry",
        judgement_set="e" * 64,
        split="train",
        judgements=1080,
        pairs=400,
        ties=31,
        alpha=0.38,
        converged=True,
        gradient_norm=1e-8,
        annotators=people,
        contested=("k1", "k2"),
    )
    gates = (
        GateResult(
            gate="every rater prefers the policy",
            metric="evaluation/win_rate/*",
            passed=True,
            measured="0.55 at least",
            required="low end ≥ 0.50, n ≥ 50",
        ),
        GateResult(
            gate="every rater prefers the policy at equal length",
            metric="evaluation/adjusted_win_rate/*",
            passed=False,
            measured="0.46 (lexical)",
            required="low end ≥ 0.50, n ≥ 50",
        ),
    )
    request = ChangeRequest(
        created_at=NOW,
        policy=evidence.policy,
        evidence=evidence.id,
        requested_by="Ada",
        reason="Better answers to short questions.",
        gates=gates,
        expires_at=NOW,
    )
    approval = Approval(
        created_at=NOW,
        change_request=request.id,
        approver="Grace",
        approves=False,
        comment="One gate failed.",
        public_key="b" * 64,
        signature="0" * 128,
    )
    decision = Decision(
        created_at=NOW,
        change_request=request.id,
        policy=evidence.policy,
        evidence=evidence.id,
        outcome="rejected",
        approvals=(approval.id,),
        reason="A gate failed.",
        public_key="b" * 64,
        signature="0" * 128,
    )
    stages = tuple(
        StageRecord(
            created_at=NOW,
            run="r1",
            stage=name,
            config_hash="c" * 64,
            seconds=seconds,
            cpu_seconds=seconds * 1.8,
            peak_memory_mib=1400,
            tokens=tokens,
            skipped=skipped,
        )
        for name, seconds, tokens, skipped in [
            ("feedback", 31.0, 24_000, ()),
            ("rewards", 42.5, 0, ("No hub model: the bundled one was used.",)),
            ("alignment", 300.0, 180_000, ()),
        ]
    )
    return Dossier(
        policies=policies,
        reward=reward,
        aggregation=aggregation,
        change_request=request,
        approvals=(approval,),
        decision=decision,
        ledger_checkpoint=Checkpoint(14, "9" * 64),
        stages=stages,
    )
