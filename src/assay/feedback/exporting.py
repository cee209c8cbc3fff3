"""Exporting: writes what people said, as far as they agreed to the purpose, in a format that others read.

Views: `raw` is every judgement, superseded ones too, which the importer reads back exactly; `annotator` is what stands,
one judgement a person and pair; `aggregate` is one row a pair with the counts of people for each choice and no names.
The ending of the file says how rows are laid out: `.csv`, `.parquet`, `.json` (one list), else jsonl; `.gz` compresses.
"""

import gzip
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Literal, NamedTuple, get_args

from assay.feedback.answering import current_judgements
from assay.feedback.formats import WRITERS
from assay.feedback.pii import redact
from assay.feedback.pseudonyms import pseudonym
from assay.feedback.tables import csv_bytes, parquet_bytes
from assay.records.consent import Purpose
from assay.records.conversation import Message
from assay.records.errors import ConfigError, explain
from assay.records.judgement import Choice, Critique, Edit, Judgement
from assay.records.record import Value, canonical_json
from assay.storage import RecordStore
from assay.storage.artifacts import write_atomically
from assay.storage.permission import permission

View = Literal["raw", "annotator", "aggregate"]

PSEUDONYMOUS: frozenset[Purpose] = frozenset({"publish", "research"})
"""Purposes whose consent text promises a pseudonym; for `publish` it also promises that personal data is taken out."""


class Wanted(Value):
    """What an export holds, and for what."""

    purpose: Purpose = "train"
    view: View = "raw"
    format: str = "assay"
    split: str | None = None
    source: str | None = None
    campaign: str | None = None
    pseudonym_key: bytes | None = None
    """Names become pseudonyms under this key; None keeps them, which `publish` and `research` do not allow."""
    is_redacted: bool = False
    """Whether personal data that is found in texts is taken out; for `publish` it always is."""


class Exported(NamedTuple):
    """How many judgements were written, in how many rows, and how many were left out for lack of consent."""

    judgements: int
    rows: int
    left_out: int


def export_judgements(records: RecordStore, path: Path, *, split: str | None = None, source: str | None = None) -> int:
    """Write judgements for training, raw, of one split or source where given; returns how many."""
    return export(records, path, Wanted(split=split, source=source)).judgements


def export(records: RecordStore, path: Path, wanted: Wanted) -> Exported:
    """Write what is wanted and allowed. What people took back as a whole is left out, raw rows and all.

    Raises ConfigError for a format that has no place for the view, or names where pseudonyms were promised, and
    StorageError when the disk refuses; no half file is left.
    """
    given, left_out = allowed(records, wanted)
    rows = rows_of(given, wanted)
    write_atomically(path, _laid_out(path, rows))
    return Exported(len(given), len(rows), left_out)


def rows_of(judgements: Sequence[Judgement], wanted: Wanted) -> list[dict[str, object]]:
    """The rows of an export. Raises ConfigError for what does not go together."""
    if wanted.format not in WRITERS:
        do = "name one of them"
        raise ConfigError(
            explain(expected=f"a format to write: {', '.join(sorted(WRITERS))}", got=wanted.format, do=do)
        )
    if wanted.view != "annotator" and wanted.format != "assay":
        do = "use the view annotator, or the format assay"
        got = f"the view {wanted.view} in the format {wanted.format}"
        raise ConfigError(explain(expected="the views raw and aggregate in the format assay", got=got, do=do))
    if wanted.purpose in PSEUDONYMOUS and wanted.view != "aggregate" and wanted.pseudonym_key is None:
        do = "give a key for pseudonyms, as the consent text promises"
        raise ConfigError(explain(expected=f"pseudonyms for the purpose {wanted.purpose}", got="names", do=do))
    shown = judgements if wanted.pseudonym_key is None else disguised(judgements, wanted.pseudonym_key)
    shown = [redacted(one) for one in shown] if wanted.is_redacted or wanted.purpose == "publish" else shown
    return list(tallies(shown) if wanted.view == "aggregate" else WRITERS[wanted.format](shown))


def disguised(judgements: Iterable[Judgement], key: bytes) -> list[Judgement]:
    """Judgements under pseudonyms. Identities that they name are changed too: they are hashes over a person's name."""
    ids: dict[str, str] = {}
    shown = []
    for one in judgements:
        names = {
            "annotator": pseudonym(one.annotator, key),
            "supersedes": one.supersedes and (ids.get(one.supersedes) or pseudonym(one.supersedes, key)),
            "ranking": one.ranking and pseudonym(one.ranking, key),
        }
        shown.append(one.model_copy(update=names))
        ids[one.id] = shown[-1].id
    return shown


def redacted(one: Judgement) -> Judgement:
    """A judgement with personal data taken out of all of its texts; where they changed, critiques lose their place."""
    critiques = [
        mark.model_copy(
            update={
                "text": redact(mark.text),
                "comment": mark.comment and redact(mark.comment),
                **({"start": None, "end": None} if _text_of(one, mark) != redact(_text_of(one, mark)) else {}),
            }
        )
        for mark in one.critiques
    ]
    return one.model_copy(
        update={
            "prompt": tuple(Message(role=said.role, content=redact(said.content)) for said in one.prompt),
            "first": redact(one.first),
            "second": redact(one.second),
            "critiques": tuple(critiques),
            "reason": one.reason and redact(one.reason),
            "edit": one.edit and Edit(position=one.edit.position, text=redact(one.edit.text)),
        }
    )


def tallies(judgements: Iterable[Judgement]) -> list[dict[str, object]]:
    """One row a pair: how many people made each choice, a person's last word on a pair counting once.

    `share_first` is the share for `first` among those who chose one of the two or a tie, a tie being half; None where
    nobody did. Pairs are turned so that `first` sorts before `second`.
    """
    votes: dict[tuple[str, str, str], dict[str, Choice]] = {}
    prompts = {}
    for one in judgements:
        first, second = sorted((one.first, one.second))
        turned: dict[Choice, Choice] = {"first": "second", "second": "first"}
        choice = one.choice if first == one.first else turned.get(one.choice, one.choice)
        votes.setdefault((one.prompt_id, first, second), {})[one.annotator] = choice
        prompts[one.prompt_id] = [message.model_dump() for message in one.prompt]
    return [
        {"prompt": prompts[key], "first": first, "second": second, **_counts(said.values())}
        for (key, first, second), said in votes.items()
    ]


def _counts(said: Iterable[Choice]) -> dict[str, object]:
    counts = Counter(said)
    decided = counts["first"] + counts["second"] + counts["tie"]
    share = (counts["first"] + counts["tie"] / 2) / decided if decided else None
    by_choice = {_COLUMNS.get(choice, choice): counts[choice] for choice in get_args(Choice)}
    return {"people": counts.total(), **by_choice, "share_first": share}


_COLUMNS = {"first": "first_better", "second": "second_better"}


def allowed(records: RecordStore, wanted: Wanted) -> tuple[list[Judgement], int]:
    """The judgements of an export, and how many were left out for lack of consent."""
    found = [
        one
        for one in records.all(Judgement, split=wanted.split)
        if (wanted.source is None or one.source == wanted.source)
        and (wanted.campaign is None or one.campaign == wanted.campaign)
    ]
    if wanted.view != "raw":
        found = [one for one in current_judgements(found) if one.purpose is None]
    kept = permission(records, wanted.purpose).of(found)
    return kept, len(found) - len(kept)


def _text_of(one: Judgement, mark: Critique) -> str:
    return one.first if mark.completion == "first" else one.second


def _laid_out(path: Path, rows: Sequence[Mapping[str, object]]) -> bytes:
    """The bytes of a file, by its ending."""
    is_compressed = path.suffix == ".gz"
    match Path(path.stem).suffix if is_compressed else path.suffix:
        case ".csv":
            data = csv_bytes(rows)
        case ".parquet":
            data = parquet_bytes(rows)
        case ".json":
            data = json.dumps(list(rows), ensure_ascii=False, indent=1, allow_nan=False).encode() + b"\n"
        case _:
            data = b"".join(canonical_json(row) + b"\n" for row in rows)
    return gzip.compress(data, mtime=0) if is_compressed else data
