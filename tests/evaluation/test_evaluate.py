"""Evaluate: from texts to Evidence, with no diagnostic among the metrics and no training signal among the raters."""

import numpy as np
import pytest
from evaluation_records import NOW, PROVENANCE, TRAINING

from assay.evaluation import Exhibits, Pairs, RubricRater, evaluate
from assay.evaluation.evaluate import metric_name, pick_samples
from assay.records.errors import FirewallError
from assay.records.evidence import FirewallReport, RegressionCheck
from assay.records.identity import ScorerIdentity

HELD = RegressionCheck(name="s", reference=1, policy=1, noise_floor=0, higher_is_better=True, is_broken=False)
ASKS = [f"Why does thing {n} float on water?" for n in range(40)]
GOOD = [f"Thing {n} floats because it is lighter than the water that it pushes aside." for n in range(40)]
BAD = [f"Great question! Thing {n} is a thing" + " of good use" * (n % 3) + " for the" for n in range(40)]


class EndsWell:
    """Another rater: a full stop at the end wins."""

    name = "Ends well"
    catches: tuple[str, ...] = ()
    does_not_catch: tuple[str, ...] = ()
    identity = ScorerIdentity(name="Ends well", scorer_kind="rule", content_hash="w" * 64)

    def compare(self, prompts, first, second):
        return 0.5 + 0.5 * np.array([a.endswith(".") - b.endswith(".") for a, b in zip(first, second, strict=True)])


RATERS = [RubricRater(), EndsWell()]
FIREWALL = FirewallReport(training=(TRAINING,), evaluation=tuple(r.identity for r in RATERS), is_clean=True)


def judged(policies, pairs, **changes):
    given = {"raters": RATERS, "firewall": FIREWALL, "exhibits": Exhibits(regressions=(HELD,), is_simulated=True)}
    given.update(changes)
    raters = given.pop("raters")
    return evaluate(pairs, raters, policy=policies[0], reference="ref", provenance=PROVENANCE, now=NOW, **given)


def test_a_better_policy_ships_and_the_worse_one_does_not(policies):
    better = judged(policies, Pairs(ASKS, GOOD, BAD))
    worse = judged(policies, Pairs(ASKS, BAD, GOOD))
    assert better.verdict == "SHIP", better.reason
    assert worse.verdict == "DO NOT SHIP"
    assert [r.wins for r in better.raters] == [r.losses for r in worse.raters] == [40, 40]
    assert better.rater_agreement == 1.0
    assert (better.prompts, better.is_simulated, better.policy) == (40, True, policies[0].id)


def test_the_same_texts_on_both_sides_are_ties_and_hold(policies):
    evidence = judged(policies, Pairs(ASKS, GOOD, GOOD))
    assert evidence.verdict == "HOLD"
    assert all(r.ties == 40 for r in evidence.raters)


def test_metrics_hold_what_gates_may_ask_for_and_no_diagnostic(policies):
    metrics = judged(policies, Pairs(ASKS, GOOD, BAD)).metrics
    assert set(metrics) == {
        "evaluation/win_rate/rubric",
        "evaluation/win_rate/ends_well",
        "evaluation/adjusted_win_rate/rubric",
        "evaluation/adjusted_win_rate/ends_well",
        "evaluation/panel_win_rate",
        "evaluation/panel_adjusted_win_rate",
        "evaluation/worst_order_flips",
        "evaluation/regressions_broken",
    }
    assert not any(word in name for name in metrics for word in ("kl", "proxy", "reward", "length"))
    assert metrics["evaluation/panel_win_rate"].low == pytest.approx(0.025 ** (1 / 40))
    assert metrics["evaluation/regressions_broken"].value == 0
    assert metric_name("Held-out  people!") == "held_out_people"


def test_a_training_signal_may_not_judge_under_any_name(policies):
    rater = EndsWell()
    rater.identity = TRAINING.model_copy(update={"name": "innocent"})
    with pytest.raises(FirewallError, match="is the training signal 'reward ensemble'"):
        judged(policies, Pairs(ASKS, GOOD, BAD), raters=[rater])


def test_a_rater_must_be_registered_before_it_judges(policies):
    with pytest.raises(FirewallError, match="'rubric' is not registered"):
        judged(policies, Pairs(ASKS, GOOD, BAD), firewall=FIREWALL.model_copy(update={"evaluation": ()}))


def test_the_same_work_twice_has_the_same_identity(policies):
    assert judged(policies, Pairs(ASKS, GOOD, BAD)).id == judged(policies, Pairs(ASKS, GOOD, BAD)).id


def test_samples_are_spaced_evenly_and_not_chosen():
    samples = pick_samples(Pairs(ASKS, GOOD, BAD), 6)
    assert [ASKS.index(sample.prompt) for sample in samples] == [0, 8, 16, 23, 31, 39]
    assert len(pick_samples(Pairs(ASKS[:2], GOOD[:2], BAD[:2]), 6)) == 2
