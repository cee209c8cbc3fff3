"""Importing: stores what a file holds, divided into splits, all of it or nothing."""

from collections import Counter

from assay.feedback.folds import UNUSED, AnnotatorFold, Folds, divide_panel, place, splits_of_prompts
from assay.feedback.reading import Imported
from assay.records.conversation import prompt_id
from assay.records.judgement import Demonstration, Judgement, Ranking
from assay.records.record import Record, Value, digest
from assay.storage import RecordStore


class ImportSummary(Value):
    """What an import did. `judgement_set` is the hash of the sorted identities of what the file held."""

    judgement_set: str
    format: str
    judgements: int
    demonstrations: int
    added: int
    """How many of them the store did not hold before."""
    splits: dict[str, int]
    """Judgements and demonstrations in each split."""
    unused: int
    """Judgements that would join a held-out annotator with a training prompt, or the other way round."""
    held_out_annotators: tuple[str, ...]
    notes: tuple[str, ...]


def import_judgements(records: RecordStore, imported: Imported, *, folds: Folds) -> ImportSummary:
    """Store judgements and demonstrations with their split and their annotator. A second time changes nothing.

    Raises StorageError when the database refuses, ConfigError when a held-out annotator cannot be.
    """
    given: list[Judgement | Demonstration | Ranking] = [
        *imported.judgements,
        *imported.demonstrations,
        *imported.rankings,
    ]
    panel = divide_panel(records, {record.annotator for record in given}, folds=folds)
    splits = splits_of_prompts(records, {record.prompt for record in given}, folds=folds)
    rows: list[tuple[Record, str | None, str | None]] = [
        (record, place(splits[prompt_id(record.prompt)], panel.is_held_out(record.annotator)), record.annotator)
        for record in given
    ]
    sides: list[tuple[Record, str | None, str | None]] = [
        (AnnotatorFold(annotator=name, is_held_out=is_held_out, created_at=given[0].created_at), None, name)
        for name, is_held_out in panel.new.items()
    ]
    before = sum(records.count(kind) for kind in (Judgement, Demonstration))
    records.put_all([*sides, *rows])
    counts = Counter(str(split) for record, split, _ in rows if not isinstance(record, Ranking))
    return ImportSummary(
        judgement_set=digest(sorted(record.id for record in given)),
        format=imported.format,
        judgements=len(imported.judgements),
        demonstrations=len(imported.demonstrations),
        added=sum(records.count(kind) for kind in (Judgement, Demonstration)) - before,
        splits=dict(sorted(counts.items())),
        unused=counts[UNUSED],
        held_out_annotators=tuple(sorted(name for name in {r.annotator for r in given} if panel.is_held_out(name))),
        notes=tuple(imported.notes),
    )
