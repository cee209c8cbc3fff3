"""Reading: the format is found from the rows, every bad line is reported at once, and doubts become notes."""

import json

import pytest

from assay.feedback import read_judgements
from assay.records.errors import InputError

TRL = {"prompt": "Why?", "chosen": "Because.", "rejected": "No."}
HH = {"chosen": "\n\nHuman: A\n\nAssistant: x", "rejected": "\n\nHuman: A\n\nAssistant: y"}
PANDALM = {"instruction": "Add.", "input": "", "response1": "3", "response2": "4", "annotator1": 1, "annotator2": 1}
ASSAY = {"prompt": "Why?", "first": "a", "second": "b", "choice": "tie", "annotator": "ada"}
DEMONSTRATION = {"prompt": "Why?", "completion": "Because."}


def _file(tmp_path, *rows):
    path = tmp_path / "rows.jsonl"
    path.write_text("".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows))
    return path


@pytest.mark.parametrize(
    ("row", "name"),
    [
        (TRL, "trl"),
        (HH, "hh_rlhf"),
        (PANDALM, "pandalm"),
        (ASSAY, "assay"),
        (DEMONSTRATION, "demonstrations"),
    ],
)
def test_a_format_is_known_by_its_fields(tmp_path, now, row, name):
    imported = read_judgements(_file(tmp_path, row), now=now)
    assert imported.format == name
    assert bool(imported.demonstrations) == (name == "demonstrations")


def test_one_bad_first_line_does_not_decide_the_format(tmp_path, now):
    with pytest.raises(InputError) as caught:
        read_judgements(_file(tmp_path, {"prompt": "Why?", "completion": "x"}, TRL, TRL), now=now)
    assert caught.value.faults == ("line 1: field 'chosen' is missing; field 'rejected' is missing",)


def test_every_bad_line_is_reported_in_order_and_at_once(tmp_path, now):
    rows = [TRL, "{", TRL | {"chosen": ""}, *[TRL] * 8, TRL | {"rejected": "Because."}]
    with pytest.raises(InputError) as caught:
        read_judgements(_file(tmp_path, *rows), now=now)
    assert [fault.split(":")[0] for fault in caught.value.faults] == ["line 2", "line 3", "line 12"]
    assert "3 faults; nothing was imported" in str(caught.value)


def test_an_unknown_format_tells_the_fields_seen_and_the_formats_there_are(tmp_path, now):
    with pytest.raises(InputError) as caught:
        read_judgements(_file(tmp_path, {"question": "Why?", "best": "x"}), now=now)
    assert "the fields best, question" in str(caught.value)
    for name in ("trl", "hh_rlhf", "pandalm", "assay", "demonstrations"):
        assert name in str(caught.value)


def test_rated_answers_are_not_taken_for_demonstrations(tmp_path, now):
    with pytest.raises(InputError, match="the fields completion, label, prompt"):
        read_judgements(_file(tmp_path, DEMONSTRATION | {"label": False}), now=now)


def test_a_format_asked_for_by_a_wrong_name_is_refused(tmp_path, now):
    with pytest.raises(InputError, match="got 'ultra'"):
        read_judgements(_file(tmp_path, TRL), now=now, source_format="ultra")


def test_a_format_asked_for_overrules_the_fields(tmp_path, now):
    assert read_judgements(_file(tmp_path, HH), now=now).format == "hh_rlhf"
    with pytest.raises(InputError, match="field 'prompt' is missing"):
        read_judgements(_file(tmp_path, HH), now=now, source_format="trl")


def test_a_file_of_bad_lines_only_tells_them_all(tmp_path, now):
    with pytest.raises(InputError) as caught:
        read_judgements(_file(tmp_path, "{", "["), now=now)
    assert len(caught.value.faults) == 2


def test_repeated_rows_are_numbered_and_keep_apart(tmp_path, now):
    imported = read_judgements(_file(tmp_path, PANDALM, PANDALM, PANDALM), now=now)
    assert [j.occurrence for j in imported.judgements if j.annotator == "annotator1"] == [0, 1, 2]
    assert len({j.id for j in imported.judgements}) == 6
    assert imported.notes == ["4 judgements repeat an equal one; kept and numbered"]


def test_a_copy_that_states_its_number_is_counted_once(tmp_path, now):
    row = ASSAY | {"occurrence": 0}
    imported = read_judgements(_file(tmp_path, row, row), now=now)
    assert len(imported.judgements) == 1
    assert imported.notes == ["1 judgements are copies of others in the file; counted once"]


@pytest.mark.parametrize(("rows", "is_told"), [(20, True), (19, False)])
def test_a_one_sided_file_is_noted_and_read(tmp_path, now, rows, is_told):
    on_the_left = [("first", "left"), ("second", "right")]
    data = [
        ASSAY | {"prompt": f"p{n}", "choice": on_the_left[n % 2][0], "first_shown": on_the_left[n % 2][1]}
        for n in range(rows)
    ]
    imported = read_judgements(_file(tmp_path, *data), now=now)
    assert len(imported.judgements) == rows
    assert any("picks the left side" in note for note in imported.notes) is is_told


def test_a_file_with_one_answer_for_the_other_side_is_not_one_sided(tmp_path, now):
    data = [ASSAY | {"prompt": f"p{n}", "choice": "second" if n == 5 else "first"} for n in range(30)]
    assert read_judgements(_file(tmp_path, *data), now=now).notes == []


def test_chosen_and_rejected_files_are_never_called_one_sided(tmp_path, now):
    data = [TRL | {"prompt": f"p{n}"} for n in range(40)]
    assert read_judgements(_file(tmp_path, *data), now=now).notes == []
