"""What the alignment tests share: a preference with a longer and a shorter answer, in eight prompts."""

from datetime import UTC, datetime

from assay.records.conversation import user_prompt
from assay.records.preference import Preference

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def preference(i):
    """Preference number i; prompts come round every eight."""
    return Preference(
        created_at=NOW,
        prompt=user_prompt(f"Question {i % 8}?"),
        chosen=f"A long and careful answer about thing {i}, with some detail.",
        rejected=f"No {i}.",
        margin=1.0,
        standard_error=0.3,
        probability=0.8,
        judgements=(str(i),),
        annotators=("a",),
        aggregation="x",
    )
