"""Monitor rules: each rings where its threshold, worked by hand, is crossed, and says why."""

import math

import pytest
from scipy.stats import binom
from simulated_runs import NOW

from assay.monitors import build_monitors
from assay.monitors.style_drift import rejected_by_holm
from assay.records.observation import Observation


def run(name, *checkpoints, **settings):
    """The alarms of one monitor over checkpoints given as dictionaries of values."""
    (monitor,) = build_monitors({name: settings})
    return [monitor.observe(Observation(step=step, values=values), NOW) for step, values in enumerate(checkpoints)]


def rings(name, *checkpoints, **settings):
    return [alarm is not None for alarm in run(name, *checkpoints, **settings)]


def test_kl_rings_above_its_budget_and_not_at_it():
    kls = [{"alignment/kl": kl} for kl in (0.0, 4.0, 4.1)]
    assert rings("kl_budget", *kls, budget_nats=4.0) == [False, False, True]


def test_disagreement_is_measured_against_the_first_observation():
    spread = [{"rewards/disagreement": value} for value in (0.4, 0.6, 0.61)]
    alarms = run("disagreement", *spread, largest_ratio=1.5)
    assert [alarm is not None for alarm in alarms] == [False, False, True]
    assert alarms[2].value == pytest.approx(0.61 / 0.4)


def test_disagreement_of_a_single_member_says_nothing():
    assert rings("disagreement", {"rewards/disagreement": 0.0}, {"rewards/disagreement": 0.5}) == [False, False]


def outliers(count, of=64):
    return {"rewards/outlier_rate": count / of, "completions/count": float(of)}


def test_outliers_ring_from_the_count_that_is_too_rare_by_the_exact_test():
    # P(X >= 4 | 64, 0.01) = 0.0038 and P(X >= 5) = 0.00047, so 5 of 64 is the first count below 0.001.
    assert rings("latent_outliers", outliers(0), outliers(4), outliers(5)) == [False, False, True]
    alarm = run("latent_outliers", outliers(0), outliers(5))[1]
    by_hand = sum(math.comb(64, k) * 0.01**k * 0.99 ** (64 - k) for k in range(5, 65))
    assert alarm.value == pytest.approx(by_hand)


def test_outliers_are_tested_against_the_first_share_where_that_is_above_one_percent():
    start, later = outliers(6), outliers(12)
    assert binom.sf(11, 64, 0.01) < 1e-9
    assert binom.sf(11, 64, 6 / 64) == pytest.approx(0.0149, abs=1e-4)
    assert rings("latent_outliers", start, later) == [False, False]


def test_a_share_that_is_no_share_neither_crashes_nor_rings():
    assert rings("latent_outliers", outliers(0), {"rewards/outlier_rate": 2.0, "completions/count": 0.0}) == [False] * 2


def lengths(mean, sd=10.0, count=50.0):
    return {"completions/mean_length": mean, "completions/length_sd": sd, "completions/count": count}


def test_length_needs_both_a_large_change_and_a_significant_one():
    # Standard error 10 sqrt(2/50) = 2: 40 to 55 is z = 7.5 and +37.5 %; 40 to 53 is z = 6.5 but only +32.5 %.
    assert rings("length_drift", lengths(40), lengths(53), lengths(55)) == [False, False, True]
    # With a spread of 20 the error is 4, and +37.5 % is z = 3.75: not enough.
    assert rings("length_drift", lengths(40, sd=20), lengths(55, sd=20)) == [False, False]


def test_shrinking_rings_as_growing_does_and_keeps_its_sign():
    alarm = run("length_drift", lengths(40), lengths(20))[1]
    assert (alarm.value, alarm.threshold) == (-0.5, -0.35)
    assert alarm.evidence["z"] == pytest.approx(-10)


def test_equal_lengths_at_the_start_do_not_make_an_infinite_z():
    alarm = run("length_drift", lengths(40, sd=0.0), lengths(60))[1]
    assert alarm.evidence["z"] == pytest.approx(20 / 0.1)


def test_repetition_rings_on_its_rise():
    shares = [{"completions/repetition": value} for value in (0.3, 0.39, 0.41)]
    assert rings("repetition", *shares) == [False, False, True]


def rewards(proxy, panel, count=200.0):
    return {"alignment/proxy_reward": proxy, "watch/panel_reward": panel, "completions/count": count}


def test_the_gap_rings_where_the_panel_stays_behind_by_more_than_chance():
    # n = 200: e = 0.1. A proxy gain of 1 needs a panel gain of 0.33 - 1.5 * 0.1 = 0.18 at least.
    assert rings("proxy_panel_gap", rewards(-0.5, 0), rewards(0.5, 0.19), rewards(0.5, 0.17)) == [False, False, True]


def test_the_gap_asks_nothing_of_the_panel_before_the_proxy_has_gained():
    assert rings("proxy_panel_gap", rewards(0, 0), rewards(0.49, -0.2)) == [False, False]


def test_the_gap_rings_where_the_panel_falls_from_its_best_while_the_proxy_rises():
    # Best 0.8 at step 1; 3 e = 0.3 below it is 0.5, which still is more than a third of the proxy's gain.
    alarms = run("proxy_panel_gap", rewards(0, 0), rewards(0.9, 0.8), rewards(1.0, 0.51), rewards(1.1, 0.49))
    assert [alarm is not None for alarm in alarms] == [False, False, False, True]
    assert alarms[3].evidence["best_step"] == 1
    assert "fell 0.31" in alarms[3].message


def test_a_panel_that_stays_behind_sends_the_run_back_to_where_it_stood_best():
    alarms = run("proxy_panel_gap", rewards(0, 0.1), rewards(0.2, 0.12), rewards(0.4, 0.05), rewards(1.0, 0.08))
    assert [alarm is not None for alarm in alarms] == [False, False, False, True]
    assert alarms[3].evidence["best_step"] == 1
    assert "only -0.02" in alarms[3].message


def test_a_panel_that_falls_together_with_the_proxy_is_no_gap():
    assert rings("proxy_panel_gap", rewards(0, 0), rewards(0.9, 0.8), rewards(0.4, 0.3)) == [False, False, False]


def test_entropy_rings_below_its_share_of_the_start():
    entropies = [{"alignment/entropy": value} for value in (2.0, 0.8, 0.79)]
    assert rings("entropy_collapse", *entropies, least_share=0.4) == [False, False, True]
    assert rings("entropy_collapse", {"alignment/entropy": 0.0}, {"alignment/entropy": 0.0}) == [False, False]


def test_spread_within_prompts_rings_below_its_share_of_the_start():
    spreads = [{"rewards/within_group_sd": value} for value in (1.0, 0.3, 0.29)]
    assert rings("variance_collapse", *spreads, least_share=0.3) == [False, False, True]


def test_the_ceiling_rings_above_its_share():
    shares = [{"rewards/at_ceiling": value} for value in (0.2, 0.95, 0.96)]
    assert rings("ceiling_saturation", *shares) == [False, False, True]


def kls(*roots, count=200.0):
    return [{"alignment/kl": root**2, "completions/count": count} for root in roots]


def test_kl_acceleration_looks_at_the_root_and_needs_six_observations():
    steady = [0.1 * step for step in range(8)]
    assert rings("kl_acceleration", *kls(*steady)) == [False] * 8
    # Flat, then two steps of 0.5: the mean of the last two, 0.75, lies that far above the line through six zeros.
    alarms = run("kl_acceleration", *kls(0, 0, 0, 0, 0, 0, 0.5, 1.0))
    assert alarms[7] is not None
    # error = sqrt(1/400) = 0.05; m = 6 at steps 0..5, S = 17.5, mean step 6.5 ahead by 4.
    assert alarms[7].value == pytest.approx(0.75 / (0.05 * math.sqrt(1 / 2 + 1 / 6 + 16 / 17.5)))
    assert rings("kl_acceleration", *kls(0, 0, 0, 0.5, 1.0)) == [False] * 5


def test_a_proxy_that_jumps_breaks_its_slope_and_one_that_bends_down_does_not():
    def proxies(*values):
        return [{"alignment/proxy_reward": value, "completions/count": 100.0} for value in values]

    bends = [math.sqrt(step / 10) for step in range(10)]
    assert rings("slope_break", *proxies(*bends)) == [False] * 10
    assert rings("slope_break", *proxies(0, 0.1, 0.2, 0.3, 0.4, 1.4, 2.4))[-1]


def halves(a, b, sd=1.0, count=200.0):
    names = ("rewards/half_a", "rewards/half_b", "rewards/half_gap_sd", "completions/count")
    return dict(zip(names, (a, b, sd, count), strict=True))


def test_the_halves_must_part_by_more_than_chance_and_by_a_large_share():
    # e = sqrt(1/200 + 1/200) = 0.1: a gap of 0.6 is sqrt(0.36 - 0.01) = 0.592 without its noise, z = 5.9, gain 1.
    alarm = run("split_proxy_gap", halves(0, 0), halves(1.0, 0.4))[1]
    assert alarm.value == pytest.approx(math.sqrt(0.35))
    assert alarm.evidence["z"] == pytest.approx(math.sqrt(0.35) / 0.1)
    assert rings("split_proxy_gap", halves(0, 0), halves(1.0, 0.55)) == [False, False]  # 4.4 z, but less than half
    assert rings("split_proxy_gap", halves(0, 0), halves(0.45, -0.5)) == [False, False]  # the gain is too small to ask
    assert rings("split_proxy_gap", halves(0, 0), halves(1.0, 0.4, sd=3.0)) == [False, False]  # z = 2


def walks(kl, proxy, count=50.0):
    return {"alignment/kl": kl, "alignment/proxy_reward": proxy, "completions/count": count}


def test_a_run_far_from_its_reference_must_have_gained_more_than_chance_once_in_two_checkpoints():
    # 1.5 sqrt(2/50) = 0.3, so a gain of 0.31 is enough and one of 0.29 is not.
    start, near, lost, won = walks(0, -0.5), walks(2.0, -0.9), walks(2.1, -0.21), walks(2.1, -0.19)
    assert rings("no_gain", start, near, lost, lost) == [False, False, False, True]
    assert rings("no_gain", start, near, lost, won) == [False] * 4
    alarm = run("no_gain", start, lost, walks(3.0, -0.6))[2]
    assert alarm.value == pytest.approx(-0.1)
    assert alarm.threshold == pytest.approx(0.3)
    assert alarm.evidence == {"kl": 3.0, "best_step": 0.0}


def styles(lists, flattery=0.0, count=100.0):
    values = {"completions/count": count}
    for name, share in (("lists", lists), ("flattery", flattery)):
        values |= {f"style/{name}": share, f"style/{name}_sd": math.sqrt(share * (1 - share))}
    return values


def test_style_rings_where_a_habit_shifts_by_much_and_names_it():
    # 0.2 has an s.d. of 0.4: 0.2 to 0.59 is 0.975, to 0.61 is 1.025 reference deviations.
    assert rings("style_drift", styles(0.2), styles(0.59), styles(0.61)) == [False, False, True]
    alarm = run("style_drift", styles(0.2), styles(0.2, flattery=0.5))[1]
    assert "style/flattery went from 0.00 to 0.50" in alarm.message
    assert alarm.value == pytest.approx(0.5 / 0.3)
    assert set(alarm.evidence) == {"style/flattery"}


def test_a_habit_that_is_dropped_rings_as_well():
    assert rings("style_drift", styles(0.7), styles(0.1)) == [False, True]


def test_few_completions_are_no_proof_of_style():
    assert rings("style_drift", styles(0.2, count=8), styles(0.7, count=8)) == [False, False]


def test_holm_stops_at_the_first_that_is_not_small_enough():
    # 0.05 over 4, 3, 2, 1: 0.0125, 0.0167, 0.025, 0.05.
    assert rejected_by_holm({"a": 0.016, "b": 0.001, "c": 0.03, "d": 0.04}, 0.05) == ["b", "a"]
    assert rejected_by_holm({"a": 0.013, "b": 0.5}, 0.05) == ["a"]
    assert rejected_by_holm({}, 0.05) == []


def test_a_word_must_spread_beyond_chance_and_far():
    def words(shift, rise):
        return {"completions/lexical_shift": shift, "completions/lexical_rise": rise}

    assert rings("lexical_contrast", words(0, 0), words(9, 0.3), words(5, 0.5), words(9, 0.4)) == [False] * 3 + [True]


def paid_by_length(proxy, left, correlation=0.2, count=200.0):
    return {
        "alignment/proxy_reward": proxy,
        "rewards/length_adjusted_gain": left,
        "rewards/length_correlation": correlation,
        "completions/count": count,
    }


def test_a_gain_must_be_there_at_equal_length_too():
    # e = 0.1: of a gain of 1 half must be left; 0.14 + 3.5 * 0.1 < 0.5, 0.16 + 0.35 is not.
    checkpoints = paid_by_length(0, 0), paid_by_length(1, 0.16), paid_by_length(1, 0.14)
    assert rings("reward_length", *checkpoints) == [False, False, True]


def test_reward_and_length_must_not_come_to_be_the_same_thing():
    checkpoints = paid_by_length(0, 0), paid_by_length(0.3, 0.3, 0.69), paid_by_length(0.3, 0.3, -0.75)
    alarms = run("reward_length", *checkpoints)
    assert [alarm is not None for alarm in alarms] == [False, False, True]
    assert alarms[2].evidence["z"] == pytest.approx((math.atanh(0.75) - math.atanh(0.2)) / 0.1)


def test_the_audit_bets_against_half_and_adds_up_what_it_saw():
    def audit(wins, losses):
        return {"audit/wins": float(wins), "audit/losses": float(losses)}

    alarms = run("noisy_audit", audit(12, 12), audit(8, 16), audit(6, 18), audit(4, 20))
    assert [alarm is not None for alarm in alarms] == [False, False, False, True]
    assert "30 and 66 in all" in alarms[3].message
    assert rings("noisy_audit", *[audit(14, 10)] * 12) == [False] * 12


def parts(right, form, count=100.0):
    values = {"components/right": right, "components/format": form, "completions/count": count}
    return values | {"components/right_sd": 0.5, "components/format_sd": 0.5}


def test_a_component_that_is_paid_for_by_the_others_rings():
    # Error of the loss: sqrt(2 * 0.25/100) = 0.0707, and 4 of them 0.283.
    alarm = run("component_dominance", parts(0.8, 0.2), parts(0.5, 1.0))[1]
    assert alarm.value == pytest.approx(0.3 / 0.8)
    assert alarm.evidence == pytest.approx({"components/right": -0.3, "components/format": 0.8})
    assert rings("component_dominance", parts(0.8, 0.2), parts(0.54, 1.0)) == [False, False]
    assert rings("component_dominance", parts(0.5, 0.2), parts(0.9, 1.0)) == [False, False]


def test_a_single_component_dominates_nothing():
    lonely = [{"components/right": value, "completions/count": 64.0} for value in (0.2, 0.9)]
    assert rings("component_dominance", *lonely) == [False, False]


def constrained(name="cost", **values):
    return {f"constraints/{name}/{key}": value for key, value in values.items()}


def test_a_multiplier_rings_after_three_updates_at_its_bound_with_the_limit_broken():
    held = [constrained(at_bound=float(count), violation=0.2) for count in (0, 2, 3)]
    alarms = run("multiplier_bound", *held, updates=3)
    assert [alarm is not None for alarm in alarms] == [False, False, True]
    assert alarms[2].evidence == {"constraints/cost/at_bound": 3.0, "constraints/cost/violation": 0.2}
    assert "the multiplier of cost lies at its bound for 3 updates" in alarms[2].message


def test_of_several_constraints_the_worst_rings():
    both = constrained("kl", at_bound=5.0) | constrained("cost", at_bound=4.0)
    assert "multiplier of kl" in run("multiplier_bound", both)[0].message


def swung(*multipliers, turns=1.0):
    return [constrained(multiplier=value, oscillation=turns) for value in multipliers]


def test_a_swing_must_be_large_against_the_mean_and_turn_round():
    # Over 4 checkpoints: range 0.8, mean 0.5, so a swing of 1.6.
    wide = swung(0.1, 0.9, 0.1, 0.9)
    assert rings("multiplier_swing", *wide, window=4, least_swing=1.5) == [False, False, False, True]
    assert rings("multiplier_swing", *wide, window=4, least_swing=1.7) == [False] * 4
    assert rings("multiplier_swing", *swung(0.1, 0.9, 0.1, 0.9, turns=0.5), window=4) == [False] * 4
    alarm = run("multiplier_swing", *wide, window=4)[-1]
    assert alarm.value == pytest.approx(1.6)
    assert alarm.evidence["mean"] == pytest.approx(0.5)


def test_a_multiplier_near_nought_may_flicker():
    # Range 0.1 over the floor of 0.2 is 0.5, where over its own mean of 0.05 it would be 2.
    assert rings("multiplier_swing", *swung(0.0, 0.1, 0.0, 0.1), window=4) == [False] * 4
