"""Firewall: one scorer or one judgement on both sides is refused under any name, a shared ancestor is reported."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from assay.records.errors import FirewallError
from assay.records.identity import FirewallSide, ScorerIdentity
from assay.storage import Firewall, RecordStore
from assay.storage.firewall import Registration

NOW = datetime(2026, 11, 24, tzinfo=UTC)


def a_scorer(name: str, content: str, *, rows: str = "", ancestors: str = "") -> ScorerIdentity:
    return ScorerIdentity(
        name=name, scorer_kind="reward_model", content_hash=content, rows=tuple(rows), ancestors=tuple(ancestors)
    )


def on(side: FirewallSide, scorer: ScorerIdentity) -> Registration:
    return Registration(side=side, identity=scorer, created_at=NOW)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[RecordStore]:
    opened = RecordStore(f"sqlite:///{tmp_path / 'assay.db'}")
    yield opened
    opened.close()


@pytest.mark.parametrize(("first", "second"), [("training", "evaluation"), ("evaluation", "training")])
def test_one_scorer_on_both_sides_is_refused_under_any_name(
    store: RecordStore, first: FirewallSide, second: FirewallSide
) -> None:
    Firewall(store).register(on(first, a_scorer("helpful", "h1")))
    with pytest.raises(FirewallError, match="'judge' and 'helpful' are the same scorer"):
        Firewall(store).register(on(second, a_scorer("judge", "h1")))
    assert store.count(Registration) == 1


def test_a_shared_judgement_is_refused(store: RecordStore) -> None:
    firewall = Firewall(store)
    firewall.register(on("training", a_scorer("helpful", "h1", rows="abc")))
    with pytest.raises(FirewallError, match="were fitted on 2 shared judgements"):
        firewall.register(on("evaluation", a_scorer("judge", "h2", rows="bcd")))
    firewall.register(on("evaluation", a_scorer("judge", "h2", rows="de")))


def test_scorers_of_one_side_may_share(store: RecordStore) -> None:
    firewall = Firewall(store)
    firewall.register(on("training", a_scorer("one", "h1", rows="abc")))
    firewall.register(on("training", a_scorer("two", "h2", rows="abc")))
    firewall.register(on("training", a_scorer("two", "h2", rows="abc")))
    report = firewall.report()
    assert [one.name for one in report.training] == ["one", "two"]
    assert report.is_clean
    assert report.evaluation == ()


def test_a_shared_ancestor_is_a_warning_that_names_both(store: RecordStore) -> None:
    firewall = Firewall(store)
    firewall.register(on("training", a_scorer("helpful", "h1", ancestors="xy")))
    firewall.register(on("evaluation", a_scorer("judge", "h2", ancestors="yz")))
    report = firewall.report()
    assert report.is_clean
    [warning] = report.warnings
    assert warning.startswith("helpful (training) and judge (evaluation) start from the same checkpoint y")


def test_registrations_outlive_the_process(store: RecordStore, tmp_path: Path) -> None:
    Firewall(store).register(on("training", a_scorer("helpful", "h1")))
    again = RecordStore(f"sqlite:///{tmp_path / 'assay.db'}")
    with pytest.raises(FirewallError):
        Firewall(again).register(on("evaluation", a_scorer("helpful", "h1")))
    again.close()


def test_a_register_that_was_filled_past_the_check_gives_no_report(store: RecordStore) -> None:
    for side in ("training", "evaluation"):
        store.put(on(side, a_scorer(side, "h1")), subject=side)
    with pytest.raises(FirewallError, match="do not use this run's evaluation"):
        Firewall(store).report()


def test_all_conflicts_are_told_at_once(store: RecordStore) -> None:
    firewall = Firewall(store)
    firewall.register(on("training", a_scorer("one", "h1", rows="a")))
    firewall.register(on("training", a_scorer("two", "h2", rows="b")))
    with pytest.raises(FirewallError, match=r"'judge' and 'one'.*'judge' and 'two'"):
        firewall.register(on("evaluation", a_scorer("judge", "h3", rows="ab")))
