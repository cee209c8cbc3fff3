"""Interop: what other tools write is read as it was meant, what we write is read back, and faults are all told."""

import csv
import json
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assay.feedback import read_judgements
from assay.feedback.exporting import Wanted, export
from assay.feedback.formats import FORMATS, WRITERS
from assay.feedback.formats.row import Row
from assay.feedback.formats.screens import answer_in, ranks_in, screen_of
from assay.records.conversation import Message, user_prompt
from assay.records.errors import ConfigError, InputError
from assay.records.judgement import Judgement, Ranking
from assay.storage import RecordStore

AT = datetime(2026, 1, 1, tzinfo=UTC)
TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=12)
WORDS = TEXT.filter(str.strip)
CHOICES = st.sampled_from(["first", "second", "tie", "both_bad", "cannot_judge"])
PROMPTS = st.one_of(
    WORDS.map(user_prompt),
    st.tuples(
        st.builds(Message, role=st.just("system"), content=TEXT),
        st.builds(Message, role=st.just("user"), content=WORDS),
    ),
)


def judgements(answers=TEXT):
    return st.builds(
        Judgement,
        campaign=st.just("c"),
        annotator=st.sampled_from(["ada", "bob", "7d6f2f3a-64c1-4d0e-9c5d-0f1f3f0e9a11"]),
        prompt=PROMPTS,
        first=answers.map(lambda text: f"{text}1"),
        second=answers.map(lambda text: f"{text}2"),
        choice=CHOICES,
        first_shown=st.sampled_from(["left", "right"]),
        strength=st.integers(1, 2),
        attributes=st.dictionaries(st.sampled_from(["honesty", "usefulness"]), CHOICES, max_size=2),
        reason=st.none() | WORDS,
        time_on_task_s=st.none() | st.floats(0, 1e6),
        created_at=st.just(AT),
    )


def _read(name, fields):
    row = Row(fields)
    return list(FORMATS[name].read(row, AT)), row


def _seen(one):
    """What a judgement says in terms of the screen, without who said it."""
    screen = screen_of(one)
    strong = one.choice in ("first", "second")
    answer = screen.answer if strong else one.choice
    return (one.prompt, screen.left, screen.right, answer, sorted(screen.attributes.items()), one.reason)


def _through(rows, suffix, wanted):
    with TemporaryDirectory() as directory:
        path = Path(directory) / f"out{suffix}"
        records = RecordStore("sqlite://")
        records.put_all((one, None, None) for one in rows)
        written = export(records, path, wanted)
        records.close()
        return written, read_judgements(path, now=datetime(2030, 1, 1, tzinfo=UTC))


@settings(max_examples=30, deadline=None)
@given(rows=st.lists(judgements(), min_size=1, max_size=3, unique_by=lambda one: one.id), data=st.data())
def test_every_layout_of_our_own_format_comes_back_exactly(rows, data):
    suffix = data.draw(st.sampled_from([".csv", ".parquet", ".json", ".jsonl", ".csv.gz", ".json.gz"]))
    written, read = _through(rows, suffix, Wanted())
    assert written == (len(rows), len(rows), 0)
    assert read.judgements == rows
    assert [one.id for one in read.judgements] == [one.id for one in rows]


@settings(max_examples=30, deadline=None)
@given(rows=st.lists(judgements(), min_size=1, max_size=3, unique_by=lambda one: one.id), data=st.data())
def test_other_tools_files_say_what_each_person_saw_and_chose(rows, data):
    name, suffix = data.draw(st.sampled_from([("argilla", ".json"), ("label_studio", ".json"), ("argilla", ".jsonl")]))
    once = list({(one.annotator, one.prompt_id, *sorted((one.first, one.second))): one for one in rows}.values())
    _, read = _through(once, suffix, Wanted(view="annotator", format=name))
    assert read.format == name
    assert sorted(map(repr, map(_seen, read.judgements))) == sorted(map(repr, map(_seen, once)))
    assert len({one.annotator for one in read.judgements}) == len({one.annotator for one in once})


@settings(max_examples=30, deadline=None)
@given(rows=st.lists(judgements(WORDS), min_size=1, max_size=3, unique_by=lambda one: one.id), data=st.data())
def test_training_files_keep_what_was_decided(rows, data):
    name, suffix = data.draw(st.sampled_from([("trl", ".jsonl"), ("trl", ".parquet"), ("openai", ".jsonl")]))
    pairs = [
        (one.prompt, *((one.first, one.second) if one.choice == "first" else (one.second, one.first)))
        for one in rows
        if one.choice in ("first", "second")
    ]
    if not pairs:
        return
    _, read = _through(rows, suffix, Wanted(view="annotator", format=name))
    got = [
        (one.prompt, *((one.first, one.second) if one.choice == "first" else (one.second, one.first)))
        for one in read.judgements
    ]
    assert read.format == name
    assert sorted(map(repr, got)) == sorted(map(repr, pairs))


ARGILLA = {
    "id": "1",
    "fields": {"instruction": "Why?", "response-2": "because", "response-1": "no idea"},
    "metadata": {"model": "x"},
    "suggestions": {},
    "vectors": {},
    "status": "completed",
    "responses": {
        "preference": [
            {"value": "response-2", "user_id": "u1"},
            {"value": "Tie", "user_id": "u2"},
            {"value": "A", "user_id": "u3", "status": "draft"},
        ],
        "comment": [{"value": "it is right", "user_id": "u1"}],
        "stars": [{"value": 2, "user_id": "u1"}],
    },
}


def test_an_argilla_record_is_one_judgement_a_person_who_submitted():
    (one, other), row = _read("argilla", ARGILLA)
    assert (one.annotator, one.choice, one.reason) == ("u1", "second", "it is right")
    assert (one.first, one.second, one.first_shown) == ("no idea", "because", "left")
    assert (other.annotator, other.choice) == ("u2", "tie")
    assert row.faults == []
    assert "question 'stars' is passed over" in row.notes


def test_an_argilla_ranking_becomes_a_ranking_with_its_pairs():
    fields = {"prompt": "p", "response1": "x", "response2": "y", "response3": "z"}
    value = [{"value": "response3", "rank": 1}, {"value": "response1", "rank": 2}, {"value": "response2", "rank": 2}]
    found, row = _read("argilla", {"fields": fields, "responses": {"ranking": [{"value": value, "user_id": "u"}]}})
    assert row.faults == []
    assert isinstance(found[0], Ranking)
    assert found[0].ranks == (2, 2, 1)
    assert [(one.first, one.second, one.choice) for one in found[1:]] == [
        ("x", "y", "tie"),
        ("x", "z", "second"),
        ("y", "z", "second"),
    ]
    assert {one.ranking for one in found[1:]} == {found[0].id}


TASK = {
    "id": 3,
    "data": {"prompt": "Why?", "answer1": "no idea", "answer2": "because"},
    "annotations": [
        {
            "completed_by": {"id": 4, "email": "ada@example.org"},
            "lead_time": 12.5,
            "created_at": "2025-11-02T10:00:00.5Z",
            "was_cancelled": False,
            "result": [
                {"from_name": "cmp", "to_name": "a,b", "type": "pairwise", "value": {"selected": "right"}},
                {"from_name": "honesty", "to_name": "a,b", "type": "choices", "value": {"choices": ["left"]}},
                {"from_name": "why", "to_name": "a,b", "type": "textarea", "value": {"text": ["it is right"]}},
            ],
        },
        {"completed_by": 5, "was_cancelled": True, "result": []},
    ],
}


def test_a_label_studio_task_is_one_judgement_an_annotation():
    (one,), row = _read("label_studio", TASK)
    assert row.faults == []
    assert (one.annotator, one.choice, one.first_shown, one.time_on_task_s) == (
        "ada@example.org",
        "second",
        "left",
        12.5,
    )
    assert one.attributes == {"honesty": "first"}
    assert one.reason == "it is right"
    assert one.created_at == datetime(2025, 11, 2, 10, 0, 0, 500_000, tzinfo=UTC)


@pytest.mark.parametrize("value", [{"ranker": ["b", "c", "a"]}, {"ranker": {"rank": ["b", "c", "a"]}}])
def test_a_label_studio_ranker_orders_the_answers_of_its_list(value):
    data = {"prompt": "p", "items": [{"id": one, "body": one * 2} for one in "abc"]}
    result = [{"from_name": "rank", "to_name": "items", "type": "ranker", "value": value}]
    (ranking, *pairs), row = _read(
        "label_studio", {"data": data, "annotations": [{"completed_by": 1, "result": result}]}
    )
    assert row.faults == []
    assert (ranking.completions, ranking.ranks) == (("aa", "bb", "cc"), (3, 1, 2))
    assert len(pairs) == 3


@pytest.mark.parametrize(
    ("fields", "fault"),
    [
        ({"data": {"prompt": "p", "answer1": "a", "answer2": "b"}, "annotations": 3}, "annotations is not a list"),
        ({"data": {"prompt": "p", "answer1": "a"}, "annotations": []}, "1 fields of answers"),
        ({"data": {"answer1": "a", "answer2": "b"}, "annotations": []}, "field 'prompt' is missing"),
        ({"data": {"prompt": "p", "answer1": "a", "answer2": "a"}, "annotations": []}, "two answers are the same"),
        ({**TASK, "annotations": [{"completed_by": "", "result": []}]}, "annotation 1: completed_by '' is no label"),
        ({**TASK, "annotations": [{"completed_by": 1, "result": [3]}]}, "annotation 1: a result without a value"),
        ({**TASK, "annotations": ["x"]}, "does not hold fields"),
        ({**TASK, "annotations": [{"completed_by": 1, "result": [], "created_at": "soon"}]}, "not a time"),
    ],
)
def test_a_bad_label_studio_task_names_its_fault(fields, fault):
    found, row = _read("label_studio", fields)
    assert found == []
    assert fault in "; ".join(row.faults)


@pytest.mark.parametrize(
    ("fields", "fault"),
    [
        ({"fields": {"prompt": "p", "response1": "a", "response2": "b"}, "responses": []}, "does not hold questions"),
        (
            {"fields": {"prompt": "p", "response1": "a", "response2": "b"}, "responses": {"q": [{"value": "a"}]}},
            "without value and user_id",
        ),
        ({"fields": {"prompt": "", "response1": "a", "response2": "b"}, "responses": {}}, "prompt is empty"),
    ],
)
def test_a_bad_argilla_record_names_its_fault(fields, fault):
    found, row = _read("argilla", fields)
    assert found == []
    assert fault in "; ".join(row.faults)


OPENAI = {
    "input": {"messages": [{"role": "user", "content": "Why?"}], "tools": [], "parallel_tool_calls": True},
    "preferred_output": [{"role": "assistant", "content": "because"}],
    "non_preferred_output": [{"role": "assistant", "content": "no idea"}],
}


def test_an_openai_row_prefers_its_preferred_output():
    (one,), row = _read("openai", OPENAI)
    assert row.notes == []
    assert (one.first if one.choice == "first" else one.second) == "because"
    assert one.prompt == user_prompt("Why?")


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"input": "Why?"}, "field 'input' does not hold fields"),
        ({"input": {"messages": []}}, "not a list of messages"),
        ({"preferred_output": [{"role": "user", "content": "x"}]}, "preferred_output is not one assistant message"),
        ({"non_preferred_output": OPENAI["preferred_output"]}, "both completions are the same"),
    ],
)
def test_a_bad_openai_row_names_its_fault(change, fault):
    found, row = _read("openai", OPENAI | change)
    assert found == []
    assert fault in "; ".join(row.faults)


def test_words_for_a_side_are_known_by_name_letter_number_and_side():
    names = ["response_1", "response_2"]
    assert [answer_in(word, names) for word in ("Response-1", "B", "2", "Left much", "both bad", "equal", "4", 2)] == [
        "left",
        "right",
        "right",
        "left_much",
        "both_bad",
        "tie",
        None,
        None,
    ]


def test_ranks_of_other_things_are_none():
    assert ranks_in(["a", "b"], ["a", "b"]) == (1, 2)
    for value in ("a", ["a"], ["a", "a"], ["a", "c"], [{"value": "a", "rank": 0}, {"value": "b", "rank": 1}]):
        assert ranks_in(value, ["a", "b"]) is None


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_a_table_of_chosen_and_rejected_is_read_whatever_parts_its_cells(tmp_path, delimiter):
    rows = [["prompt", "chosen", "rejected"], ["What,\nnow; then?", '"yes"', "no"]]
    quoted = [delimiter.join('"' + cell.replace('"', '""') + '"' for cell in row) for row in rows]
    (tmp_path / "t.csv").write_bytes(b"\xef\xbb\xbf" + "\r\n".join(quoted).encode())
    (one,) = read_judgements(tmp_path / "t.csv", now=AT).judgements
    assert one.prompt == user_prompt("What,\nnow; then?")
    assert {one.first, one.second} == {'"yes"', "no"}


def test_pandalm_in_a_table_keeps_its_numbers(tmp_path):
    (tmp_path / "t.csv").write_text("instruction,input,response1,response2,annotator1\nDo it,,a,b,2\n")
    (one,) = read_judgements(tmp_path / "t.csv", now=AT).judgements
    assert (one.choice, one.annotator) == ("second", "annotator1")


def test_every_bad_row_of_a_table_is_told_and_nothing_read(tmp_path):
    (tmp_path / "t.csv").write_text("prompt,chosen,rejected\np,a\n,a,b\np,a,b\n")
    with pytest.raises(InputError) as caught:
        read_judgements(tmp_path / "t.csv", now=AT)
    assert caught.value.faults == ("row 1: 2 cells, where the head has 3", "row 2: field 'prompt' is missing")
    (tmp_path / "twice.csv").write_text("prompt,prompt,chosen\np,a,b\n")
    with pytest.raises(InputError, match="'prompt' is named twice"):
        read_judgements(tmp_path / "twice.csv", now=AT)
    (tmp_path / "latin.csv").write_bytes(b"prompt,chosen,rejected\n\xe9,a,b\n")
    with pytest.raises(InputError, match="not UTF-8"):
        read_judgements(tmp_path / "latin.csv", now=AT)


def test_no_cell_of_a_table_is_a_formula(tmp_path):
    one = Judgement(
        campaign="c",
        annotator="ada",
        prompt=user_prompt("p"),
        first='=HYPERLINK("http://x")',
        second="'@sum",
        choice="tie",
        first_shown="left",
        created_at=AT,
    )
    records = RecordStore("sqlite://")
    records.put(one)
    export(records, tmp_path / "out.csv", Wanted())
    records.close()
    with (tmp_path / "out.csv").open(newline="") as file:
        cells = [cell for row in csv.reader(file) for cell in row]
    assert '\'=HYPERLINK("http://x")' in cells
    assert [cell for cell in cells if cell.startswith(("=", "+", "-", "@"))] == []
    assert read_judgements(tmp_path / "out.csv", now=AT).judgements == [one]


def test_a_format_has_a_place_for_one_view_only(workspace, tmp_path):
    for wanted, said in (
        (Wanted(format="word"), "a format to write: argilla, assay, label_studio, openai, trl"),
        (Wanted(format="trl", view="raw"), "the view raw in the format trl"),
        (Wanted(format="openai", view="aggregate"), "the view aggregate in the format openai"),
    ):
        with pytest.raises(ConfigError, match=said):
            export(workspace.records, tmp_path / "out.jsonl", wanted)
    assert list(tmp_path.glob("out*")) == []
    assert sorted(WRITERS) == ["argilla", "assay", "label_studio", "openai", "trl"]


def test_rows_of_other_tools_are_known_by_their_fields(tmp_path):
    for name, fields in (("argilla", ARGILLA), ("label_studio", TASK), ("openai", OPENAI)):
        (tmp_path / "rows.json").write_text(json.dumps([fields]))
        assert read_judgements(tmp_path / "rows.json", now=AT).format == name
