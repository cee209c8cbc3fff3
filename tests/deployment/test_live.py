"""Live monitoring: the sum by hand, run lengths against a closed form, and alarms that only lower exposure."""

import math
from datetime import timedelta

import numpy as np
import pytest

from assay.deployment import LiveWatch, RateSettings
from assay.deployment.live import BernoulliCusum, CalibratedRate, calibrated_threshold, weights
from assay.governance import open_reviews
from assay.records.errors import GovernanceError

RATE = RateSettings(name="blocked", baseline=0.1, alarming=0.4, average_run_length=200)
CALIBRATED = CalibratedRate(RATE, calibrated_threshold(RATE, np.random.default_rng(0)))


def test_weights_are_log_likelihood_ratios():
    # log(0.4/0.1) = log 4 and log(0.6/0.9) = log 2/3.
    assert weights(RATE) == pytest.approx((math.log(4), math.log(2 / 3)))


def test_the_sum_rises_falls_and_stops_at_zero():
    detector = BernoulliCusum(RATE, threshold=100)
    sums = []
    for is_event in (False, True, False, True, False, False, False, False, False, False, False):
        detector.observe(is_event)
        sums.append(detector.value)
    up, down = math.log(4), math.log(2 / 3)
    assert sums[:4] == pytest.approx([0, up, up + down, 2 * up + down])
    assert sums[-1] == 0


def test_a_threshold_of_one_event_has_the_geometric_run_length():
    # Where one event rings, the mean time to a false alarm is 1/p0 = 10 exactly, so asking for 10 gets that threshold.
    settings = RATE.model_copy(update={"average_run_length": 10})
    threshold = calibrated_threshold(settings, np.random.default_rng(0), paths=2000)
    assert threshold <= weights(RATE).event + 1e-6


def test_a_calibrated_threshold_keeps_its_run_length_on_fresh_data():
    threshold = calibrated_threshold(RATE, np.random.default_rng(1))
    rng = np.random.default_rng(2)
    lengths = []
    for _ in range(150):
        detector, count = BernoulliCusum(RATE, threshold), 1
        while not detector.observe(bool(rng.random() < RATE.baseline)):
            count += 1
        lengths.append(count)
    # The standard error of the mean is about 200 / sqrt(150) = 16; the promise is a lower bound.
    assert 200 - 3 * 16 <= np.mean(lengths) <= 400


def test_the_threshold_depends_on_the_seed_alone():
    one, two = (calibrated_threshold(RATE, np.random.default_rng(5)) for _ in range(2))
    assert one == two


def test_an_alarming_rate_below_the_baseline_is_refused():
    with pytest.raises(ValueError, match="above the baseline"):
        RateSettings(name="x", baseline=0.2, alarming=0.1)


@pytest.fixture
def running(line, now):
    line.rollout.start(line.reference, now=now)
    line.decisions.approved.add(line.tuned.policy)
    line.rollout.propose(line.tuned, share_percent=40, now=now)
    return line


def watch_over(line, **words):
    return LiveWatch(line.workspace, line.rollout, (CALIBRATED,), **words)


def alarms(watch, release, now, *, events=60):
    return [a for a in (watch.observe(release, "blocked", True, now=now) for _ in range(events)) if a is not None]


def test_an_alarm_shrinks_the_candidate_and_opens_a_review_in_the_ledger(running, now):
    watch = watch_over(running)
    first = next(a for a in (watch.observe(running.tuned.id, "blocked", True, now=now) for _ in range(60)) if a)
    status = running.rollout.status
    assert (status.share_percent, status.state) == (20, "held")
    assert first.monitor == "live_blocked" and first.value >= first.threshold - 1e-9
    (task,) = open_reviews(running.workspace)
    assert (task.subject, task.opened_by) == (running.tuned.id, "live_blocked")
    assert "20 %" in task.reason


def test_alarms_go_on_until_nobody_has_the_candidate(running, now):
    assert len(alarms(watch_over(running, ask=lambda *a, **k: None), running.tuned.id, now)) >= 6
    assert running.rollout.status.share_percent == 0


def test_an_alarm_on_the_stable_release_changes_nothing_and_asks_a_person(running, now):
    asked = []
    before = running.rollout.pointer
    assert alarms(watch_over(running, ask=lambda *a, **k: asked.append(k)), running.reference.id, now)
    assert running.rollout.pointer == before
    assert asked[0]["subject"] == running.reference.id
    assert "a roll-back is a person's to call" in asked[0]["reason"]


def test_an_alarm_shrinks_even_where_no_review_can_be_opened(running, now):
    def refuse(*_, **__):
        raise GovernanceError("the ledger is away")

    alarms(watch_over(running, ask=refuse), running.tuned.id, now, events=5)
    assert running.rollout.status.share_percent < 40


def test_good_events_and_unknown_names_never_ring(running, now):
    watch = watch_over(running)
    assert all(watch.observe(running.tuned.id, "blocked", False, now=now) is None for _ in range(200))
    assert all(watch.observe(running.tuned.id, "other", True, now=now) is None for _ in range(200))
    assert running.rollout.status.share_percent == 40


def test_the_same_escalation_is_asked_about_once_an_hour(running, now):
    asked = []
    watch = watch_over(running, ask=lambda *a, **k: asked.append(k["now"]))
    for minutes in (0, 1, 59, 61):
        at = now + timedelta(minutes=minutes)
        watch.ask_for_review("r", title="t", reason="r", opened_by="o", now=at)
    assert asked == [now, now + timedelta(minutes=61)]
