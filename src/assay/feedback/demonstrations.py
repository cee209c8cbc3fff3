"""Demonstrations: what people made of completions by editing them. Takes standing answers, yields demonstrations.

An edit stays with its answer until it is gathered here, so an answer that was taken back leaves no demonstration.
"""

from collections.abc import Sequence
from difflib import SequenceMatcher
from re import findall
from typing import Literal, NamedTuple

from assay.feedback.answering import Answered, current_judgements
from assay.feedback.folds import UNUSED
from assay.records.judgement import Demonstration, Edit, Judgement, Ranking
from assay.storage import RecordStore, SplitName
from assay.storage.permission import permission


class Piece(NamedTuple):
    """A run of words that two texts share, or that one of them has alone."""

    change: Literal["same", "removed", "added"]
    text: str


def gather_demonstrations(records: RecordStore, campaign: str) -> list[Demonstration]:
    """Store a demonstration for each edit of a campaign that stands, in the split of its answer; returns them all.

    Edits of people who did not agree to training stay where they are.
    """
    found: list[tuple[Demonstration, str]] = []
    allowed = permission(records, "train")
    for split in [*(name.value for name in SplitName), UNUSED]:
        judgements = current_judgements(records.all(Judgement, split=split))
        rankings = records.all(Ranking, split=split)
        superseded = {one.supersedes for one in rankings}
        standing: list[Answered] = [*judgements]
        standing += [one for one in rankings if one.id not in superseded and not one.is_withdrawn]
        for one in allowed.of(standing):
            if one.campaign == campaign and one.edit is not None:
                found.append((_demonstration(one, one.edit), split))
    records.put_all((one, split, one.annotator) for one, split in found)
    return [one for one, _ in found]


def word_diff(before: str, after: str) -> list[Piece]:
    """What an edit changed, by words and the spaces between them; the pieces joined give both texts again."""
    old, new = findall(r"\s+|\w+|[^\w\s]", before), findall(r"\s+|\w+|[^\w\s]", after)
    pieces: list[Piece] = []
    for tag, i, j, k, m in SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if tag == "equal":
            pieces.append(Piece("same", "".join(old[i:j])))
            continue
        pieces += [Piece("removed", "".join(old[i:j]))] if i < j else []
        pieces += [Piece("added", "".join(new[k:m]))] if k < m else []
    return pieces


def _demonstration(one: Answered, edit: Edit) -> Demonstration:
    completions: Sequence[str] = one.completions if isinstance(one, Ranking) else (one.first, one.second)
    return Demonstration(
        annotator=one.annotator,
        prompt=one.prompt,
        completion=edit.text,
        consent_version=one.consent_version,
        edited_from=completions[edit.position],
        created_at=one.created_at,
    )
