"""Records: identity is content without any time, and nothing vague gets in: naive times, unknown fields, NaN."""

import hashlib
import importlib
import json
import pkgutil
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

import assay.records
from assay.records.conversation import Message, last_user_text, prompt_id, user_prompt
from assay.records.judgement import Judgement
from assay.records.observation import Alarm
from assay.records.policy import PolicyVersion
from assay.records.provenance import Provenance, code_version
from assay.records.record import Record, canonical_json, digest

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
YESTERDAY = NOW - timedelta(days=1)

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=12,
)


def an_alarm(**changes: object) -> Alarm:
    fields = {"monitor": "kl", "step": 3, "message": "m", "action": "stop", "value": 1.5, "threshold": 1.0}
    return Alarm.model_validate({"created_at": NOW, **fields, **changes})


def a_policy(alarm: Alarm, **changes: object) -> PolicyVersion:
    provenance = Provenance(seed=1, data_hash="d", code_version="c", config_hash="f")
    fields = {"name": "p", "base_model": "b", "adapter": None, "ref_policy": None, "method": "sft", "created_at": NOW}
    return PolicyVersion.model_validate({**fields, "alarms": (alarm,), "provenance": provenance, **changes})


def all_kinds() -> list[type[Record]]:
    for module in pkgutil.iter_modules(assay.records.__path__):
        importlib.import_module(f"assay.records.{module.name}")
    importlib.import_module("assay.storage.firewall")
    found, waiting = [], [Record]
    while waiting:
        children = waiting.pop().__subclasses__()
        found += children
        waiting += children
    return [kind for kind in found if kind.__module__.startswith("assay.")]


def test_the_identity_is_the_documented_hash_of_kind_and_content() -> None:
    body = (
        '{"body":{"action":"stop","evidence":{},"message":"m","monitor":"kl","schema_version":1,"step":3,'
        '"threshold":1.0,"value":1.5},"kind":"alarm"}'
    )
    assert an_alarm().id == hashlib.sha256(body.encode()).hexdigest()
    assert an_alarm().short_id == an_alarm().id[:12]


def test_the_identity_ignores_created_at_of_the_record_and_of_records_inside_it() -> None:
    assert an_alarm().id == an_alarm(created_at=YESTERDAY).id
    assert a_policy(an_alarm()).id == a_policy(an_alarm(created_at=YESTERDAY), created_at=YESTERDAY).id


def test_the_identity_changes_with_any_content_also_nested() -> None:
    ids = {
        a_policy(an_alarm()).id,
        a_policy(an_alarm(), name="q").id,
        a_policy(an_alarm(), schema_version=2).id,
        a_policy(an_alarm(step=4)).id,
        a_policy(an_alarm(evidence={"kl": 1.0})).id,
    }
    assert len(ids) == 5


def test_two_kinds_of_equal_content_have_two_identities() -> None:
    class One(Record):
        kind = "test_one"

    class Two(Record):
        kind = "test_two"

    assert One(created_at=NOW).id != Two(created_at=NOW).id


def test_the_identity_survives_the_way_through_json() -> None:
    policy = a_policy(an_alarm(evidence={"a": 0.1 + 0.2, "b": 1e300, "c": -0.0}))
    assert PolicyVersion.model_validate(json.loads(policy.model_dump_json())).id == policy.id


@pytest.mark.parametrize("moment", [datetime(2026, 11, 24), "2026-11-24T12:00:00"])  # noqa: DTZ001
def test_a_naive_time_is_refused(moment: object) -> None:
    with pytest.raises(ValidationError, match="time zone"):
        an_alarm(created_at=moment)


def test_a_time_in_another_zone_is_accepted() -> None:
    assert an_alarm(created_at=NOW.astimezone(timezone(timedelta(hours=2)))).id == an_alarm().id


def test_unknown_fields_are_refused_and_records_are_frozen() -> None:
    with pytest.raises(ValidationError, match="extra"):
        an_alarm(note="?")
    with pytest.raises(ValidationError, match="frozen"):
        an_alarm().step = 4  # type: ignore[misc]


@pytest.mark.parametrize("number", [float("nan"), float("inf"), -float("inf")])
def test_numbers_that_json_does_not_know_have_no_canonical_form_and_no_identity(number: float) -> None:
    for value in (number, [number], {"a": {"b": number}}):
        with pytest.raises(ValueError, match="Out of range"):
            canonical_json(value)
    with pytest.raises(ValueError, match="Out of range"):
        _ = an_alarm(value=number).id


def test_canonical_json_is_sorted_compact_utf8() -> None:
    assert canonical_json({"b": [1, 2.5, None], "a": "ü\n"}) == '{"a":"ü\\n","b":[1,2.5,null]}'.encode()


@settings(max_examples=50, deadline=None)
@given(value=JSON)
def test_canonical_json_says_the_same_whatever_the_order_and_is_read_back(value: object) -> None:
    def turned(item: object) -> object:
        if isinstance(item, dict):
            return {key: turned(item[key]) for key in reversed(list(item))}
        return [turned(one) for one in item] if isinstance(item, list) else item

    assert canonical_json(turned(value)) == canonical_json(value)
    assert json.loads(canonical_json(value)) == value
    assert digest(turned(value)) == digest(value)


def test_every_kind_of_record_has_a_name_of_its_own_that_fits_its_column() -> None:
    kinds = {kind: kind.kind for kind in all_kinds()}
    assert len(kinds) >= 15
    assert len(set(kinds.values())) == len(kinds)
    assert all(0 < len(name) <= 40 for name in kinds.values())


def test_a_prompt_is_known_by_its_messages_alone() -> None:
    prompt = (Message(role="system", content="be kind"), *user_prompt("hi"))
    assert prompt_id(prompt) == digest([{"role": "system", "content": "be kind"}, {"role": "user", "content": "hi"}])
    assert prompt_id(prompt) != prompt_id(prompt[::-1])
    assert last_user_text((*prompt, Message(role="assistant", content="hello"))) == "hi"
    assert last_user_text(prompt[:1]) == ""


def test_a_judgement_needs_a_prompt() -> None:
    fields = {"campaign": "c", "annotator": "a", "first": "x", "second": "y", "choice": "tie", "first_shown": "left"}
    with pytest.raises(ValidationError, match="at least one message"):
        Judgement.model_validate({**fields, "prompt": (), "created_at": NOW})
    made = Judgement.model_validate({**fields, "prompt": user_prompt("hi"), "created_at": NOW})
    assert made.prompt_id == prompt_id(user_prompt("hi"))


def test_the_code_version_names_the_package_version_and_its_source() -> None:
    version, source = code_version().split("+src.")
    assert version == assay.__version__
    assert len(source) == 12


def test_a_field_that_is_added_later_changes_no_identity_of_before() -> None:
    class Before(Record):
        kind = "thing"
        name: str

    class After(Before):
        note: str | None = None

    stored = Before(created_at=NOW, name="a")
    assert After.model_validate(json.loads(stored.model_dump_json())).id == stored.id
    assert After(created_at=NOW, name="a", note="n").id != stored.id


def test_a_changed_copy_has_an_identity_of_its_own() -> None:
    first = an_alarm()
    assert first.id
    assert first.model_copy(update={"step": 4}).id == an_alarm(step=4).id
    assert first.model_copy().id == first.id
