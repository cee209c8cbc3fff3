"""Exporting: what is written is read back as the same records."""

from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from feedback_cases import ties
from hypothesis import given, settings
from hypothesis import strategies as st

from assay.feedback import Folds, Imported, export_judgements, import_judgements, read_judgements
from assay.records.conversation import Message
from assay.records.errors import StorageError
from assay.records.judgement import Critique, Judgement
from assay.storage import RecordStore

TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=30)
WORDS = TEXT.filter(str.strip)
NAMES = WORDS.filter(lambda name: name == name.strip() and name.isprintable())
CHOICES = st.sampled_from(["first", "second", "tie", "both_bad", "cannot_judge"])
TIMES = st.datetimes(datetime(2020, 1, 1), timezones=st.sampled_from([UTC, timezone(timedelta(hours=5, minutes=30))]))  # noqa: DTZ001
CRITIQUES = st.builds(
    Critique,
    completion=st.sampled_from(["first", "second"]),
    text=TEXT,
    category=TEXT,
    severity=st.integers(1, 3),
    start=st.none() | st.integers(0, 99),
)
JUDGEMENTS = st.builds(
    Judgement,
    campaign=TEXT,
    annotator=NAMES,
    prompt=st.tuples(
        st.builds(Message, role=st.sampled_from(["system", "user"]), content=TEXT),
        st.builds(Message, role=st.just("user"), content=WORDS),
    ),
    first=TEXT.map(lambda text: f"{text}1"),
    second=TEXT.map(lambda text: f"{text}2") | st.just(""),
    choice=CHOICES,
    first_shown=st.sampled_from(["left", "right"]),
    strength=st.integers(1, 2),
    attributes=st.dictionaries(TEXT, CHOICES, max_size=2),
    critiques=st.lists(CRITIQUES, max_size=2).map(tuple),
    consent_version=st.none() | TEXT,
    time_on_task_s=st.none() | st.floats(0, 1e6),
    supersedes=st.none() | TEXT,
    source=TEXT,
    occurrence=st.integers(0, 5),
    created_at=TIMES,
)


@settings(max_examples=25, deadline=None)
@given(
    judgements=st.lists(JUDGEMENTS, min_size=1, max_size=4, unique_by=lambda j: j.id),
    suffix=st.sampled_from([".jsonl", ".jsonl.gz"]),
)
def test_judgements_come_back_exactly(judgements, suffix):
    with TemporaryDirectory() as directory:
        path = Path(directory) / f"out{suffix}"
        records = RecordStore("sqlite://")
        records.put_all((judgement, None, None) for judgement in judgements)
        assert export_judgements(records, path) == len(judgements)
        records.close()
        read = read_judgements(path, now=datetime(2030, 1, 1, tzinfo=UTC))
    assert read.judgements == judgements
    assert [j.id for j in read.judgements] == [j.id for j in judgements]
    assert read.format == "assay"


def _stored(workspace, now):
    judgements = ties(40, now, campaign="c", sources=("assay", "live"))
    import_judgements(workspace.records, Imported("assay", judgements, [], []), folds=Folds())
    return judgements


def test_an_export_is_cut_by_split_and_by_source(workspace, tmp_path, now):
    judgements = _stored(workspace, now)
    trained = workspace.records.all(Judgement, split="train")
    export_judgements(workspace.records, tmp_path / "train.jsonl", split="train")
    assert read_judgements(tmp_path / "train.jsonl", now=now).judgements == trained
    assert export_judgements(workspace.records, tmp_path / "live.jsonl", source="live") == 20
    read = read_judgements(tmp_path / "live.jsonl", now=now).judgements
    assert read == [j for j in judgements if j.source == "live"]


def test_an_export_that_cannot_be_written_is_told_and_leaves_nothing(workspace, tmp_path, now):
    _stored(workspace, now)
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StorageError):
        export_judgements(workspace.records, tmp_path / "file" / "out.jsonl")
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".new")] == []
