"""Words of the report: numbers as sentences that say no more than is known."""

import pytest

from assay.evaluation.report.words import curve_story
from assay.records.evidence import Curve


@pytest.mark.parametrize(
    ("kept", "said"),
    [(0.5, "at 0.20 (50% of the best)"), (-5.9, "at 0.20 (nothing of the best is left)"), (None, "at 0.20.")],
)
def test_a_story_says_what_was_kept_and_nothing_below_nothing(kept, said):
    curve = Curve(
        policy="p",
        name="guarded",
        points=(),
        stop_step=2,
        kept=kept,
        falls_after_peak=False,
        peak_gold=0.4,
        final_gold=0.1,
        gold_at_stop=0.2,
    )
    assert said in curve_story(curve)
