"""Judgement table: judgements as integer arrays, with every choice turned so that it speaks of one order of a pair.

Takes judgements in any order; yields arrays that the aggregators count and fit on, and notes on what was left out.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from assay.records.conversation import Prompt
from assay.records.errors import InputError, explain
from assay.records.judgement import Judgement
from assay.records.record import digest

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Pair:
    """Two different completions of one prompt: `a` and `b` in a fixed order, whichever way round they were judged."""

    prompt: Prompt
    a: str
    b: str


@dataclass(frozen=True)
class JudgementTable:
    """One row a judgement; arrays of row length J, pair length P, annotator names of length K.

    Rows are sorted by prompt, completions, annotator and side: neither what a completion is called (first or second)
    nor who won changes their order, nor so the order in which numbers are summed.

    `outcome` is 1 where `a` won, -1 where `b` won, 0 for a tie; `side` is 1 where `a` stood on the left, else -1.
    `item_a` and `item_b` number the completions of a prompt, so that pairs of one prompt can share an item.
    """

    judgements: tuple[Judgement, ...]
    pairs: tuple[Pair, ...]
    annotators: tuple[str, ...]
    pair: Ints
    annotator: Ints
    outcome: Ints
    side: Ints
    item_a: Ints
    item_b: Ints
    items: int
    notes: tuple[str, ...]

    @property
    def is_decided(self) -> NDArray[np.bool_]:
        """Which rows chose one of the two."""
        return np.asarray(self.outcome != 0)

    @property
    def judgement_set(self) -> str:
        """Hash of the sorted identities of the judgements that went in."""
        return digest(sorted(judgement.id for judgement in self.judgements))


def tabulate(judgements: Sequence[Judgement]) -> JudgementTable:
    """Turn judgements into a table. Superseded ones, `cannot_judge` and equal completions are dropped with a note;
    `both_bad` counts as a tie, with a note.

    Raises InputError when nothing is left, or when nobody chose either side anywhere.
    """
    kept, notes = _usable(judgements)
    if not kept:
        got = f"{len(judgements)} judgements, none of them usable" if judgements else "none"
        todo = "collect or import some first, or look into another split"
        raise InputError(explain(expected="judgements to aggregate", got=got, do=todo))
    if all(judgement.choice in ("tie", "both_bad") for judgement in kept):
        got = f"{len(kept)} judgements that are all ties"
        raise InputError(explain(expected="at least one judgement for a side", got=got, do="collect more judgements"))
    return _table(kept, notes)


def pair_key(pair: Pair) -> str:
    """Short name of a pair, the same whichever way round it was judged."""
    return digest([[message.model_dump() for message in pair.prompt], sorted((pair.a, pair.b))])[:16]


def _usable(judgements: Sequence[Judgement]) -> tuple[list[Judgement], tuple[str, ...]]:
    unique = {judgement.id: judgement for judgement in judgements}
    superseded = {judgement.supersedes for judgement in unique.values()} & unique.keys()
    kept: list[Judgement] = []
    left_out: Counter[str] = Counter()
    for identity in sorted(unique):
        judgement = unique[identity]
        if identity in superseded:
            left_out["superseded judgements dropped"] += 1
        elif judgement.choice == "cannot_judge":
            left_out["`cannot_judge` dropped"] += 1
        elif judgement.first == judgement.second:
            left_out["judgements of two equal completions dropped"] += 1
        else:
            kept.append(judgement)
            if judgement.choice == "both_bad":
                left_out["`both_bad` counted as ties: they do not say which is less bad"] += 1
    return kept, tuple(f"{count} {what}" for what, count in sorted(left_out.items()))


class _Row(NamedTuple):
    """A judgement turned so that `a` is before `b`; rows sort by these fields, `place` tells the judgement."""

    prompt: tuple[tuple[str, str], ...]
    a: str
    b: str
    annotator: str
    side: int
    outcome: int
    identity: str
    place: int


def _row(judgement: Judgement, place: int) -> _Row:
    sign = -1 if judgement.first > judgement.second else 1
    a, b = sorted((judgement.first, judgement.second))
    return _Row(
        prompt=tuple((message.role, message.content) for message in judgement.prompt),
        a=a,
        b=b,
        annotator=judgement.annotator,
        side=sign if judgement.first_shown == "left" else -sign,
        outcome={"first": sign, "second": -sign}.get(judgement.choice, 0),
        identity=judgement.id,
        place=place,
    )


def _table(judgements: list[Judgement], notes: tuple[str, ...]) -> JudgementTable:
    annotators = sorted({judgement.annotator for judgement in judgements})
    annotator_number = {name: number for number, name in enumerate(annotators)}
    # Numbered by text and not by hash: Python caches the hash of a string, a digest would cost a second here.
    items: dict[tuple[object, ...], int] = {}
    pair_numbers: dict[tuple[int, int], int] = {}
    pairs: list[Pair] = []
    numbers = np.empty((len(judgements), 6), dtype=np.int64)
    rows = sorted(_row(judgement, place) for place, judgement in enumerate(judgements))
    for at, row in enumerate(rows):
        item_a = items.setdefault((row.prompt, row.a), len(items))
        item_b = items.setdefault((row.prompt, row.b), len(items))
        number = pair_numbers.setdefault((item_a, item_b), len(pairs))
        if number == len(pairs):
            pairs.append(Pair(judgements[row.place].prompt, row.a, row.b))
        numbers[at] = (number, annotator_number[row.annotator], row.outcome, row.side, item_a, item_b)
    pair, annotator, outcome, side, items_a, items_b = np.ascontiguousarray(numbers.T)
    return JudgementTable(
        judgements=tuple(judgements[row.place] for row in rows),
        pairs=tuple(pairs),
        annotators=tuple(annotators),
        pair=pair,
        annotator=annotator,
        outcome=outcome,
        side=side,
        item_a=items_a,
        item_b=items_b,
        items=len(items),
        notes=notes,
    )
