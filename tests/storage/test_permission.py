"""Permission: one no among many bars what was made from all, and nothing that nobody refused is barred."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay.records.consent import Consent, Withdrawal
from assay.records.conversation import user_prompt
from assay.records.errors import SplitError
from assay.records.judgement import Demonstration, Judgement, Ranking
from assay.records.preference import Preference
from assay.records.record import digest
from assay.storage import RecordStore, SplitName
from assay.storage.permission import Permission, permission

NOBODY = Permission("train", frozenset(), frozenset())


def _preference(now, *, annotators, judgements=("j",)):
    return Preference(
        prompt=user_prompt("p"),
        chosen="a",
        rejected="b",
        margin=1,
        standard_error=1,
        probability=0.7,
        judgements=judgements,
        annotators=annotators,
        aggregation="x",
        created_at=now,
    )


def _judgement(now, **fields):
    given = {"campaign": "c", "annotator": "ada", "first": "a", "second": "b", "choice": "tie", "first_shown": "left"}
    return Judgement(prompt=user_prompt("p"), created_at=now, **{**given, **fields})


def test_one_no_among_many_bars_a_preference(now):
    refusing = NOBODY._replace(refusing=frozenset({"eve"}))
    withdrawn = NOBODY._replace(withdrawn=frozenset({"gone"}))
    assert NOBODY.allows(_preference(now, annotators=("ada", "eve")))
    assert not refusing.allows(_preference(now, annotators=("ada", "eve")))
    assert refusing.allows(_preference(now, annotators=("ada",)))
    assert not withdrawn.allows(_preference(now, annotators=("ada",), judgements=("j", "gone")))


def test_every_kind_of_word_is_barred_by_its_person_and_by_its_identity(now):
    ranking = Ranking(
        campaign="c", annotator="ada", prompt=user_prompt("p"), completions=("a", "b"), ranks=(1, 2), shown=(0, 1),
        created_at=now,
    )  # fmt: skip
    shown = Demonstration(annotator="ada", prompt=user_prompt("p"), completion="a", created_at=now)
    for one in (_judgement(now), ranking, shown):
        assert NOBODY.allows(one)
        assert not NOBODY._replace(refusing=frozenset({"ada"})).allows(one)
        assert not NOBODY._replace(withdrawn=frozenset({one.id})).allows(one)
    assert not NOBODY._replace(withdrawn=frozenset({"old"})).allows(_judgement(now, supersedes="old"))


WORDS = st.lists(
    st.tuples(st.sampled_from(["ada", "bob"]), st.sampled_from(["train", "evaluate", "leave"]), st.booleans()),
    max_size=8,
)


@given(words=WORDS)
def test_the_last_word_since_the_last_leaving_counts(words):

    store, now = RecordStore("sqlite://"), datetime(2026, 1, 1, tzinfo=UTC)
    left, last, asked = {}, {}, set()
    for number, (name, purpose, is_yes) in enumerate(words):
        asked.add(name)
        if purpose == "leave":
            gone = Withdrawal(annotator=name, judgements=(digest(number),), previous=left.get(name), created_at=now)
            store.put(gone, subject=name)
            left[name], last = gone.id, {key: value for key, value in last.items() if key[0] != name}
            continue
        last[name, purpose] = is_yes
        refused = None if is_yes else True
        word = Consent(
            annotator=name, purpose=purpose, version="v", after=left.get(name), is_refused=refused,
            previous=str(number), created_at=now,
        )  # fmt: skip
        store.put(word, subject=name)
    for purpose in ("train", "evaluate"):
        expected = {name for name in asked if not last.get((name, purpose), False)}
        assert permission(store, purpose).refusing == expected
    store.close()


def test_views_of_training_and_evaluation_keep_to_their_purposes(workspace, now):
    for name, split in (("ada", "train"), ("eve", "train"), ("ada", "held_out"), ("eve", "held_out")):
        workspace.records.put(_judgement(now, annotator=name, campaign=split), split=split, subject=name)
    for name, purpose in (("ada", "train"), ("eve", "evaluate")):
        workspace.records.put(Consent(annotator=name, purpose=purpose, version="v", created_at=now), subject=name)
    assert [one.annotator for one in workspace.training.all(Judgement, SplitName.TRAIN)] == ["ada"]
    assert [one.annotator for one in workspace.evaluation.all(Judgement, SplitName.HELD_OUT)] == ["eve"]
    with pytest.raises(SplitError):
        workspace.training.all(Judgement, SplitName.HELD_OUT)
