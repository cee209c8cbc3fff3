"""Reward benchmark: votes to pairs by hand, judged margins in closed form, timed members, a peer that lies or dies."""

import gzip
import json
import stat
import sys
from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit

from assay.bench.reward import RewardMeasurement, RewardPlan, bars_of, bench_reward, speed_up
from assay.bench.reward.cost import LOOP, MemberCost, MonitorCost, time_bank
from assay.bench.reward.data import FILES, Sizes, preferences_by_vote, read_pair_set
from assay.bench.reward.judged import Interval, Judged, cross_scaled, judge, paired_difference
from assay.bench.reward.measurement import SetOutcome
from assay.bench.reward.peer import PeerRun, read_peer, run_peer
from assay.records.conversation import user_prompt
from assay.records.errors import ConfigError, InputError
from assay.records.judgement import Judgement
from assay.records.observation import Observation

NOW = datetime(2026, 1, 1, tzinfo=UTC)
SMALL = Sizes(train=16, held_out=8, max_length=400)
SHORT = LOOP.model_copy(update={"max_completion_length": 6, "rounds": 1})


def judgement(choice, *, annotator="a", first="yes", second="no", question="Is it?"):
    return Judgement(
        created_at=NOW,
        campaign="c",
        annotator=annotator,
        prompt=user_prompt(question),
        first=first,
        second=second,
        choice=choice,
        first_shown="left",
    )


def said(*choices):
    return [judgement(choice, annotator=f"a{i}") for i, choice in enumerate(choices)]


def test_a_pair_carries_the_share_of_votes_a_tie_counting_half():
    (one,) = preferences_by_vote(said("second", "second", "tie"), now=NOW)
    assert (one.chosen, one.rejected) == ("no", "yes")
    assert one.probability == pytest.approx(2.5 / 3)
    assert one.margin == pytest.approx(np.log(3.0 / 1.0))
    assert len(one.judgements) == 3


def test_even_pairs_and_answers_that_are_no_vote_give_no_preference():
    assert preferences_by_vote(said("first", "second"), now=NOW) == []
    assert preferences_by_vote(said("both_bad", "cannot_judge"), now=NOW) == []
    (one,) = preferences_by_vote(said("first", "both_bad"), now=NOW)
    assert one.probability == 1.0


def write_hh(directory, count=60):
    path = directory / FILES["hh-harmless"]
    path.parent.mkdir(parents=True)
    rows = []
    for i in range(count):
        begin = f"\n\nHuman: Question {i % 40}?\n\nAssistant:"
        rows.append({"chosen": f"{begin} A careful answer, number {i}.", "rejected": f"{begin} No {i}."})
    path.write_bytes(gzip.compress("\n".join(json.dumps(row) for row in rows).encode()))
    return directory


def test_no_prompt_is_on_both_sides_and_the_seed_decides(tiny_lm, tmp_path):
    data = write_hh(tmp_path)
    pairs = read_pair_set("hh-harmless", data, tiny_lm, SMALL, seed=3, now=NOW)
    assert (len(pairs.train), len(pairs.held_out)) == (16, 8)
    assert not {p.prompt_id for p in pairs.train} & {p.prompt_id for p in pairs.held_out}
    assert pairs == read_pair_set("hh-harmless", data, tiny_lm, SMALL, seed=3, now=NOW)
    assert pairs != read_pair_set("hh-harmless", data, tiny_lm, SMALL, seed=4, now=NOW)


def test_pairs_that_are_too_long_are_left_out_and_too_few_are_refused(tiny_lm, tmp_path):
    data = write_hh(tmp_path)
    with pytest.raises(InputError, match="at most 20 tokens"):
        read_pair_set("hh-harmless", data, tiny_lm, SMALL._replace(max_length=20), seed=0, now=NOW)


def test_a_set_whose_file_is_not_there_is_none(tiny_lm, tmp_path):
    assert read_pair_set("pandalm", tmp_path, tiny_lm, SMALL, seed=0, now=NOW) is None


def test_accuracy_and_calibration_error_of_four_margins_are_those_worked_by_hand():
    # All four say 0.9 for the first; three of four people agree.
    margin = np.log(0.9 / 0.1)
    found = judge(np.full(4, margin), np.array([1.0, 1.0, 1.0, 0.0]), temperature=1.0)
    assert found.accuracy == 0.75
    assert found.ece == pytest.approx(0.15)
    # A temperature that turns 0.9 into 0.75 leaves no error: log 9 / log 3 = 2.
    assert judge(np.full(4, margin), np.array([1.0, 1.0, 1.0, 0.0]), temperature=2.0).ece_scaled == pytest.approx(0.0)


def test_each_half_is_scaled_by_what_the_other_half_shows():
    # Even pairs are right in all cases, odd ones in half: the even half gets the odd half's caution, and the reverse.
    margins = np.full(40, 2.0)
    people = np.array([1.0, 1.0, 1.0, 0.0] * 10)
    scaled = cross_scaled(margins, people)
    assert np.abs(scaled[0::2]).max() < 0.1
    assert scaled[1::2].min() > 20


@settings(max_examples=30)
@given(st.integers(0, 2**16), st.floats(0.3, 3.0))
def test_a_common_factor_of_all_margins_moves_no_accuracy_and_no_scaled_error(seed, factor):
    rng = np.random.default_rng(seed)
    margins = rng.normal(size=400)
    people = (rng.random(400) < expit(1.5 * margins)).astype(float)
    plain, stretched = judge(margins, people), judge(factor * margins, people)
    assert stretched.accuracy == plain.accuracy
    assert stretched.nll_scaled == pytest.approx(plain.nll_scaled, abs=2e-3)


def test_a_paired_difference_has_its_mean_and_an_interval_around_it():
    ours, theirs = np.array([True] * 30 + [False] * 10), np.array([True] * 20 + [False] * 20)
    gap = paired_difference(ours, theirs, rng=np.random.default_rng(0))
    assert gap.difference == 0.25
    # Its standard error is sqrt(0.25 * 0.75 / 40) = 0.068.
    assert gap.low == pytest.approx(0.25 - 1.96 * 0.068, abs=0.03)
    assert gap.high == pytest.approx(0.25 + 1.96 * 0.068, abs=0.03)
    assert paired_difference(ours, ours, rng=np.random.default_rng(0)) == Interval(0.0, 0.0, 0.0)


class Trained:
    """As much of a trained reward as a measurement reads."""

    class ensemble:  # noqa: N801
        members = (1, 2, 3, 4, 5)


def judged(accuracy, ece, ece_scaled):
    return Judged(accuracy, ece, ece_scaled, 0.6, np.ones(2, dtype=bool))


def outcome(name, **changes):
    cost = MemberCost((10.0, 20.0, 10.0), (11.0, 21.0, 12.0), Trained)
    peer = PeerRun(
        scores=((1.0, 0.0),), train_cpu_s=24.0, train_s=20.0, trained_pairs=8, steps=1, final_loss=0.6, versions={}
    )
    full = SetOutcome(
        name, 8, 2, cost, judged(0.6, 0.2, 0.05), peer, judged(0.55, 0.15, 0.1), Interval(0.05, -0.05, 0.15)
    )
    return full._replace(**changes)


def measured(**sets):
    full = {"hh-harmless": outcome("hh-harmless"), "pandalm": outcome("pandalm"), **sets}
    return RewardMeasurement(full, MonitorCost(0.001, 0.5, 1.0))


def misses(measurement):
    return [bar.name for bar in bars_of(measurement) if not bar.holds]


def test_costs_are_medians_of_paired_ratios_and_five_peers_cost_five_times_one():
    # Ratios 1.1, 1.05, 1.2: the median is 1.1. Five runs of 24 s against a median of 12 s.
    assert outcome("x").cost.ratio == pytest.approx(1.1)
    assert speed_up(outcome("x")) == pytest.approx(10.0)
    assert misses(measured()) == []


def test_each_miss_is_named_and_the_worst_set_speaks():
    dear = outcome("pandalm")._replace(cost=MemberCost((10.0,), (12.0,), Trained))
    assert misses(measured(pandalm=dear)) == ["ensemble of five against one member"]
    slow = outcome("pandalm")
    slow = slow._replace(peer=slow.peer.model_copy(update={"train_cpu_s": 11.9}))
    assert misses(measured(pandalm=slow)) == ["five TRL runs against the ensemble"]
    worse = outcome("pandalm", gap=Interval(-0.01, -0.1, 0.1))
    assert misses(measured(pandalm=worse)) == ["pandalm: accuracy less TRL's"]
    rough = outcome("hh-harmless", ours=judged(0.6, 0.1, 0.16))
    assert misses(measured(**{"hh-harmless": rough})) == ["hh-harmless: ECE less TRL's as it is"]
    heavy = measured()._replace(monitors=MonitorCost(0.03, 0.5, 1.0))
    assert misses(heavy) == ["default monitors' share of a training step"]


def test_without_a_peer_its_bars_are_not_measured_and_the_others_are():
    alone = {name: outcome(name, peer=None, theirs=None, gap=None) for name in FILES}
    unmeasured = [bar.name for bar in bars_of(measured(**alone)) if bar.measured is None]
    assert len(unmeasured) == 5
    assert all("TRL" in name for name in unmeasured)
    assert len([bar for bar in bars_of(RewardMeasurement({}, None)) if bar.measured is None]) == 7


def test_monitors_are_timed_on_a_long_history(now):
    values = {"alignment/kl": 1.0, "alignment/proxy_reward": 0.1, "completions/count": 64.0}
    assert 0 < time_bank(Observation(step=0, values=values), now=now, repeats=1) < 1


def test_the_members_and_the_monitors_of_the_tiny_model_are_measured(tiny_model_dir, tmp_path):
    heard = []
    plan = RewardPlan(write_hh(tmp_path / "data"), str(tiny_model_dir), None, SMALL, repeats=1, loop=SHORT)
    found = bench_reward(plan, scratch=tmp_path, now=NOW, said=heard.append)
    (one,) = found.sets.values()
    assert one.cost.one_s[0] > 0
    assert one.cost.ensemble_s[0] > 0
    assert len(one.cost.trained.ensemble.members) == 5
    assert 0 <= one.ours.accuracy <= 1
    assert one.theirs is None
    assert found.monitors.step_s > 0
    assert 0 < found.monitors.share < 1
    assert any("pandalm" in words and "not there" in words for words in heard)


def fake_python(path, body):
    path.write_text(f"#!{sys.executable}\nimport json, sys\njob = json.load(open(sys.argv[2]))\n{body}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


TELL = """
rows = job["score"]
scores = [[float(len(row["chosen"][-1]["content"])), 0.0] for row in rows]
told = {"scores": scores, "train_cpu_s": 3.0, "train_s": 2.0, "trained_pairs": len(job["train"]), "steps": 2,
        "final_loss": 0.6, "versions": {"trl": job["settings"]["num_train_epochs"].__repr__()}}
json.dump(told, open(sys.argv[3], "w"))
"""


def peer_of(path, lm, pairs):
    return run_peer(path, lm, pairs.train, pairs.held_out, max_length=64, epochs=2, seed=1)


def test_the_peer_is_handed_the_same_pairs_and_its_answer_is_read(tiny_lm, tmp_path):
    pairs = read_pair_set("hh-harmless", write_hh(tmp_path), tiny_lm, SMALL, seed=0, now=NOW)
    told = peer_of(fake_python(tmp_path / "python", TELL), tiny_lm, pairs)
    assert told.trained_pairs == 16
    assert told.versions == {"trl": "2"}
    assert [chosen for chosen, _ in told.scores] == [float(len(p.chosen)) for p in pairs.held_out]


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("sys.exit('No module named trl')", "No module named trl"),
        ("open(sys.argv[3], 'w').write('{')", "scores of 8 pairs"),
        ("pass", "scores of 8 pairs"),
    ],
)
def test_a_peer_that_fails_is_told_with_its_last_words(tiny_lm, tmp_path, body, words):
    pairs = read_pair_set("hh-harmless", write_hh(tmp_path), tiny_lm, SMALL, seed=0, now=NOW)
    with pytest.raises(ConfigError, match=words):
        peer_of(fake_python(tmp_path / "python", body), tiny_lm, pairs)
    with pytest.raises(ConfigError, match="trl==1.16.0"):
        peer_of(tmp_path / "no-such-python", tiny_lm, pairs)


def test_scores_that_are_missing_or_no_numbers_are_refused(tmp_path):
    out = tmp_path / "out.json"
    whole = outcome("x").peer
    out.write_text(whole.model_dump_json())
    assert read_peer(out, pairs=1) == whole
    with pytest.raises(ConfigError, match="got 1 scores"):
        read_peer(out, pairs=2)
    out.write_text(json.dumps({**whole.model_dump(), "scores": [[float("nan"), 0.0]]}))
    with pytest.raises(ConfigError, match="0 are finite"):
        read_peer(out, pairs=1)
