"""Data card: the judgements of a workspace and what they were added up to, as Markdown. Nobody is named in it."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from assay.governance.cards.rendering import render
from assay.records.evidence import Evidence
from assay.records.judgement import Judgement
from assay.records.policy import PolicyVersion
from assay.records.preference import AggregationReport


def data_card(
    policy: PolicyVersion,
    evidence: Evidence | None,
    *,
    judgements: Sequence[Judgement],
    split_counts: Mapping[str, int],
    aggregations: Sequence[AggregationReport],
    now: datetime,
) -> str:
    """The card of the data behind a policy. `split_counts` holds the judgements of each named split."""
    in_a_split = sum(split_counts.values())
    return render(
        "data_card.md",
        {
            "policy": policy,
            "evidence": evidence,
            "judgements": len(judgements),
            "sources": _counts(judgement.source for judgement in judgements),
            "campaigns": _counts(judgement.campaign for judgement in judgements),
            "choices": _counts(judgement.choice for judgement in judgements),
            "consents": _counts(judgement.consent_version or "none recorded" for judgement in judgements),
            "splits": {**split_counts, "no split": len(judgements) - in_a_split},
            "annotators": len({judgement.annotator for judgement in judgements}),
            "prompts": len({judgement.prompt_id for judgement in judgements}),
            "critiques": sum(len(judgement.critiques) for judgement in judgements),
            "superseded": len({one.supersedes for one in judgements if one.supersedes}),
            "is_simulated": any(judgement.source == "simulated" for judgement in judgements),
            "rows_trained_on": len({row for signal in policy.training_signals for row in signal.rows}),
            "aggregations": aggregations,
            "day": now.date().isoformat(),
        },
    )


def _counts(values: Iterable[str]) -> dict[str, int]:
    return dict(Counter(values).most_common())
