"""Gates: diagnostics refused under any spelling, missing evidence is a no, three gates always stand."""

import string
from pathlib import Path

import pytest
from governance_cases import GATES, JUDGE, REWARD, a_check, a_policy, a_rater, estimate, some_evidence, some_metrics
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from assay.governance import Gate, check_gates, load_gates
from assay.governance.diagnostics import refusal
from assay.records.errors import ConfigError
from assay.records.evidence import FirewallReport
from assay.records.identity import ScorerIdentity

DIAGNOSTICS = ["proxy", "proxy_reward", "kl", "sqrt_kl", "length", "reward", "response_length", "kl_divergence"]
EVASIONS = [
    "Proxy-Reward",
    "proxyReward",
    "KL",
    "k_l",
    "k.l",
    "K-L",
    "sqrtKL",
    "meanKlPenalty",
    "pr0xy",
    "k1",
    "rew4rd",
    "le_ngth",
    "l-e-n-g-t-h",
    "LENGTH",
    "lengths",
    "len",
    "output_tokens",
    "num_chars",
    "characterCount",
    "rm_score",
    "rewards_mean",
    "ｋｌ",
    "кl",
    "k\u200bl",
    "rewаrd",
    "k l",
    "KullbackLeibler",
]
HONEST = [
    "evaluation/win_rate/judge",
    "evaluation/adjusted_win_rate/gold",
    "evaluation/regressions_broken",
    "evaluation/panel_adjusted_win_rate",
    "evaluation/worst_order_flips",
    "evaluation/win_rate/klaus",
    "evaluation/blackliste_d/weekly",
    "evaluation/refusals",
]


def a_gate(metric: str = "evaluation/win_rate/judge", **changes: object) -> Gate:
    fields: dict[str, object] = {"name": "g", "metric": metric, "at_least": 0.5, "use": "low", "minimum_n": 50}
    return Gate.model_validate({**fields, **changes})


@pytest.mark.parametrize("word", DIAGNOSTICS + EVASIONS)
@pytest.mark.parametrize("place", ["{}", "evaluation/{}", "{}/judge", "evaluation/{}/*"])
def test_a_gate_on_a_diagnostic_is_refused_by_the_schema_with_a_reason(word: str, place: str) -> None:
    with pytest.raises(ValidationError, match="never gate a release|can hide what is measured"):
        a_gate(place.format(word))


@pytest.mark.parametrize("metric", HONEST)
def test_a_gate_on_a_finding_is_accepted(metric: str) -> None:
    assert a_gate(metric).metric == metric


@settings(deadline=None)
@given(
    word=st.sampled_from(["proxy", "reward", "length", "kl"]),
    separators=st.lists(st.sampled_from(["", "_", "-", ".", "/", " "]), min_size=6, max_size=6),
    is_upper=st.lists(st.booleans(), min_size=7, max_size=7),
)
def test_no_case_and_no_separators_hide_a_diagnostic(word: str, separators: list[str], is_upper: list[bool]) -> None:
    letters = [letter.upper() if up else letter for letter, up in zip(word, is_upper, strict=False)]
    spelt = "".join(letter + gap for letter, gap in zip(letters, [*separators, ""], strict=False))
    assert refusal(f"evaluation/{spelt}") is not None


@settings(deadline=None)
@given(metric=st.text(min_size=1).filter(lambda text: not set(text) <= set(string.printable)))
def test_a_metric_outside_ascii_is_refused(metric: str) -> None:
    assert refusal(metric) is not None


def test_a_gate_needs_one_bound_an_honest_end_and_a_finite_number() -> None:
    for changes in (
        {"at_least": None},
        {"at_most": 0.9},
        {"use": "high"},
        {"at_least": None, "at_most": 0.1, "use": "low"},
        {"at_least": float("nan")},
        {"at_least": float("-inf")},
        {"minimum_n": 0},
        {"use": None},
        {"unknown": 1},
    ):
        with pytest.raises(ValidationError):
            a_gate(**changes)
    with pytest.raises(ValidationError, match="everything"):
        a_gate("evaluation/*")


def test_evidence_that_ships_passes_every_default_gate() -> None:
    results = check_gates(GATES, some_evidence(a_policy()))
    assert [result.gate for result in results[:3]] == ["verdict", "firewall", "regressions"]
    assert len(results) == 3 + len(GATES)
    assert all(result.passed for result in results)


def failed(results: object) -> list[str]:
    return [result.gate for result in results if not result.passed]  # type: ignore[attr-defined]


def test_a_missing_metric_fails_its_gate() -> None:
    evidence = some_evidence(a_policy(), metrics={})
    assert failed(check_gates([a_gate(), a_gate("evaluation/win_rate/*", name="all")], evidence)) == ["g", "all"]


@pytest.mark.parametrize(
    ("found", "word"),
    [
        (estimate(0.65, low=0.58, high=0.71, n=49), "too small"),
        (estimate(0.65, low=0.49, high=0.71), "below 0.5"),
        (estimate(float("nan"), low=0.58, high=0.71), "not a number"),
        (estimate(0.9, low=0.58, high=float("inf")), "not a number"),
        (estimate(0.9, low=0.95, high=0.99), "outside its interval"),
        (estimate(0.65, low=0.58, high=0.71).model_copy(update={"confidence": 0.5}), "confidence 0.5"),
    ],
)
def test_inconclusive_evidence_means_no(found: object, word: str) -> None:
    evidence = some_evidence(a_policy(), metrics=some_metrics(**{"evaluation/win_rate/judge": found}))
    [result] = check_gates([a_gate()], evidence)[3:]
    assert not result.passed
    assert word in result.measured


def test_bounds_are_inclusive_and_compare_the_named_number() -> None:
    metrics = {"evaluation/refusals": estimate(0.2, low=0.1, high=0.3)}
    evidence = some_evidence(a_policy(), metrics=metrics)
    upper = {"at_least": None, "use": "high"}
    gates = [
        a_gate("evaluation/refusals", name="low is 0.1", at_least=0.1),
        a_gate("evaluation/refusals", name="low under 0.11", at_least=0.11),
        a_gate("evaluation/refusals", name="high is 0.3", at_most=0.3, **upper),
        a_gate("evaluation/refusals", name="high over 0.29", at_most=0.29, **upper),
        a_gate("evaluation/refusals", name="value is 0.2", at_most=0.2, at_least=None, use="value"),
    ]
    assert failed(check_gates(gates, evidence)) == ["low under 0.11", "high over 0.29"]


def test_a_star_asks_every_rater_and_one_unhappy_rater_fails_it() -> None:
    metrics = some_metrics(**{"evaluation/win_rate/second": estimate(0.4, low=0.3, high=0.5)})
    results = check_gates([a_gate("evaluation/win_rate/*")], some_evidence(a_policy(), metrics=metrics))[3:]
    assert [(result.metric, result.passed) for result in results] == [
        ("evaluation/win_rate/judge", True),
        ("evaluation/win_rate/second", False),
    ]


def test_the_three_standing_gates_cannot_be_removed() -> None:
    policy = a_policy()
    same = ScorerIdentity(name="other name", scorer_kind="judge", content_hash=REWARD.content_hash)
    rows = ScorerIdentity(name="second", scorer_kind="judge", content_hash="f" * 64, rows=("j2",))
    unclean = FirewallReport(training=(REWARD,), evaluation=(JUDGE,), is_clean=False)
    for changes, gate in (
        ({"verdict": "HOLD"}, "verdict"),
        ({"verdict": "DO NOT SHIP"}, "verdict"),
        ({"firewall": unclean}, "firewall"),
        ({"raters": (a_rater(same),)}, "firewall"),
        ({"firewall": FirewallReport(training=(REWARD,), evaluation=(), is_clean=True)}, "firewall"),
        ({"firewall": FirewallReport(training=(REWARD,), evaluation=(rows,), is_clean=True)}, "firewall"),
        ({"regressions": (a_check(is_broken=False), a_check(is_broken=True))}, "regressions"),
        ({"regressions": ()}, "regressions"),
    ):
        assert failed(check_gates([], some_evidence(policy, **changes))) == [gate]


def test_a_gate_file_with_faults_names_all_of_them(tmp_path: Path) -> None:
    file = tmp_path / "gates.yaml"
    file.write_text("- {name: a, metric: kl, at_most: 1, use: value, minimum_n: 1}\n- {name: b, metric: x}\n")
    with pytest.raises(ConfigError, match=r"(?s)0\.metric.*diagnostic.*1\.use"):
        load_gates(file)
    file.write_text("- {name: a, metric: x/y, at_most: 1, use: value, minimum_n: 1}\n" * 2)
    with pytest.raises(ConfigError, match="repeated: a"):
        load_gates(file)
    for text in ("{", "just text", "\x00"):
        file.write_text(text)
        with pytest.raises(ConfigError, match="gates in"):
            load_gates(file)
    with pytest.raises(ConfigError, match="gates in"):
        load_gates(tmp_path / "absent.yaml")
