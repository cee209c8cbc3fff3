"""Exporting: writes judgements as jsonl in our own format, which the importer reads back exactly."""

import gzip
from pathlib import Path

from assay.feedback.withdrawal import withdrawn_judgements
from assay.records.judgement import Judgement
from assay.records.record import canonical_json
from assay.storage import RecordStore
from assay.storage.artifacts import write_atomically


def export_judgements(records: RecordStore, path: Path, *, split: str | None = None, source: str | None = None) -> int:
    """Write judgements, raw and superseded ones too, of one split or source where given; returns how many.

    What people took back as a whole is left out, raw rows and all.

    A name that ends in `.gz` is compressed. Raises StorageError when the disk refuses; no half file is left.
    """
    gone = withdrawn_judgements(records)
    found = [j for j in records.all(Judgement, split=split) if j.id not in gone and j.supersedes not in gone]
    judgements = [j for j in found if source is None or j.source == source]
    data = b"".join(canonical_json(judgement.model_dump(mode="json")) + b"\n" for judgement in judgements)
    write_atomically(path, gzip.compress(data, mtime=0) if path.suffix == ".gz" else data)
    return len(judgements)
