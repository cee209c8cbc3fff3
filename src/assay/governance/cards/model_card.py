"""Model card: a policy with its making, the findings on it, the word on its release, and its limits, as Markdown.

The front matter is Hugging Face's, so that hubs and tools read it; nothing is sent anywhere.
"""

from datetime import datetime

from huggingface_hub import EvalResult, ModelCardData

from assay.governance.cards.rendering import render
from assay.governance.history import Standing
from assay.records.evidence import Evidence
from assay.records.policy import PolicyVersion


def model_card(
    policy: PolicyVersion, evidence: Evidence | None, *, release: Standing | None, is_released: bool, now: datetime
) -> str:
    """The card of one policy. `release` is its last change request; `is_released` whether the ledger allows it now."""
    body = render(
        "model_card.md",
        {
            "policy": policy,
            "evidence": evidence,
            "release": release,
            "is_released": is_released,
            "diagnostics": _last_values(policy),
            "day": now.date().isoformat(),
        },
    )
    return f"---\n{_front_matter(policy, evidence).to_yaml()}\n---\n\n{body}"


def _front_matter(policy: PolicyVersion, evidence: Evidence | None) -> ModelCardData:
    is_simulated = evidence is not None and evidence.is_simulated
    results = [
        EvalResult(
            task_type="text-generation",
            dataset_type="held-out-prompts",
            dataset_name="held-out prompts, simulated panel" if is_simulated else "held-out prompts",
            metric_type="win_rate",
            metric_name=f"win rate against the reference by {rater.identity.name}",
            metric_value=round(rater.win_rate.value, 4),
            dataset_args={"n": rater.win_rate.n},
        )
        for rater in (evidence.raters if evidence else ())
    ]
    return ModelCardData(
        model_name=policy.name,
        base_model=policy.base_model,
        library_name="peft" if policy.adapter else "transformers",
        pipeline_tag="text-generation",
        tags=["assay", "preference-tuning", policy.method],
        eval_results=results or None,
    )


def _last_values(policy: PolicyVersion) -> dict[str, float]:
    """What the monitors saw at the checkpoint that this version is, finite values only."""
    chosen = [one.observation for one in policy.checkpoints if one.step == policy.step]
    return (
        {name: value for name, value in sorted(chosen[-1].values.items()) if abs(value) < float("inf")}
        if chosen
        else {}
    )
