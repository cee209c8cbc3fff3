"""Verdict: the table of the module's docstring, line by line."""

from datetime import UTC, datetime

import pytest

from assay.evaluation.verdict import PanelView, reach_verdict
from assay.records.evidence import Estimate, FirewallReport, RaterReport, RegressionCheck
from assay.records.identity import ScorerIdentity
from assay.records.observation import Alarm

CLEAN = FirewallReport(training=(), evaluation=(), is_clean=True)
BETTER, UNSURE, WORSE = (0.7, 0.6, 0.8), (0.55, 0.45, 0.65), (0.3, 0.2, 0.4)


def estimate(numbers) -> Estimate:
    value, low, high = numbers
    return Estimate(value=value, low=low, high=high, n=100)


def rater(name, adjusted, raw=None) -> RaterReport:
    identity = ScorerIdentity(name=name, scorer_kind="rule", content_hash=name)
    raw = estimate(raw or adjusted)
    return RaterReport(
        identity=identity, wins=1, losses=1, ties=0, win_rate=raw, adjusted_win_rate=estimate(adjusted), order_flips=0
    )


def check(is_broken) -> RegressionCheck:
    return RegressionCheck(
        name="sums", reference=0.5, policy=0.4, noise_floor=0.1, higher_is_better=True, is_broken=is_broken
    )


def alarm(step, action="stop") -> Alarm:
    when = datetime(2026, 11, 24, tzinfo=UTC)
    return Alarm(created_at=when, monitor="outliers", step=step, message="m", action=action, value=1, threshold=0)


HELD = (check(False),)


def verdict(raters, panel=BETTER, *, firewall=CLEAN, regressions=HELD, alarms=(), step=50):
    view = None if panel is None else PanelView(estimate(panel), estimate(panel))
    return reach_verdict(raters, view, firewall=firewall, regressions=regressions, alarms=alarms, step=step)


GOOD = [rater("gold", BETTER), rater("rubric", BETTER), rater("lexical", UNSURE)]


@pytest.mark.parametrize(
    ("case", "word", "reason"),
    [
        ({"raters": GOOD}, "SHIP", "70% [60%, 80%]"),
        ({"raters": GOOD, "firewall": CLEAN.model_copy(update={"is_clean": False})}, "DO NOT SHIP", "means nothing"),
        ({"raters": GOOD, "regressions": (check(False), check(True))}, "DO NOT SHIP", "broke what the reference could"),
        ({"raters": [], "panel": None}, "HOLD", "No rater"),
        ({"raters": [*GOOD, rater("judge", WORSE)]}, "HOLD", "contradict each other: gold and rubric for it, judge"),
        ({"raters": [rater("gold", UNSURE), rater("rubric", WORSE)], "panel": UNSURE}, "DO NOT SHIP", "word of rubric"),
        ({"raters": [rater("gold", UNSURE, WORSE)], "panel": UNSURE}, "DO NOT SHIP", "word of gold"),
        ({"raters": [rater("a", UNSURE), rater("b", UNSURE)], "panel": WORSE}, "DO NOT SHIP", "the panel"),
        ({"raters": GOOD, "alarms": (alarm(50),)}, "HOLD", "outliers rang at step 50"),
        ({"raters": GOOD, "alarms": (alarm(60),)}, "SHIP", "panel prefers it"),
        ({"raters": GOOD, "alarms": (alarm(10, "raise_kl_coef"),)}, "SHIP", "panel prefers it"),
        ({"raters": GOOD, "regressions": ()}, "HOLD", "No general ability was checked"),
        ({"raters": [rater("gold", BETTER)]}, "HOLD", "one rater is not a panel"),
        ({"raters": [rater("gold", BETTER), rater("rubric", UNSURE)]}, "HOLD", "fewer than two raters are sure"),
        ({"raters": [rater("gold", UNSURE, BETTER), rater("b", UNSURE)], "panel": UNSURE}, "HOLD", "not shown"),
    ],
)
def test_the_verdict_follows_its_table(case, word, reason):
    found = verdict(**case)
    assert found.verdict == word
    assert reason in found.reason
    assert found.reason.endswith(".")
    assert found.reason.count(". ") == 0, "one sentence"
