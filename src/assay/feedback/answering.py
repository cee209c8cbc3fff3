"""Answering: what a person said of an item as it stood on the screen; takes screen terms, yields canonical records.

`shown` lists canonical positions in the order they stand on the screen; on a repeat the order is turned round. Records
are append-only: a corrected answer supersedes, and an undo is an answer that says nothing.
"""

import math
import re
from collections.abc import Iterable, Sequence
from datetime import datetime
from hashlib import sha256
from itertools import combinations
from typing import Literal, NamedTuple, get_args

from pydantic import Field

from assay.feedback.schemes import Scheme
from assay.records.errors import InputError, explain
from assay.records.judgement import Choice, Critique, Edit, Item, Judgement, Ranking, Rating, Side
from assay.records.record import Value

Lean = Literal["left_much", "left", "tie", "right", "right_much"]
Answer = Literal["left_much", "left", "tie", "right", "right_much", "both_bad", "cannot_judge"]
Answered = Judgement | Ranking
Purpose = Literal["gold", "repeat"]

WITHDRAWN = "withdrawn"
SECONDS_A_WORD = 1.0
SECONDS_A_PAIR = 60.0
MOST_CRITIQUES = 20
LONGEST_TEXT = 20_000


class SaidCritique(Value):
    """Words marked in the completion at `place` (on the screen, from 0), what is wrong or good, and how badly."""

    place: int = Field(ge=0)
    quote: str = Field(max_length=LONGEST_TEXT)
    category: str = "other"
    severity: int = Field(default=1, ge=1, le=3)
    comment: str = Field(default="", max_length=LONGEST_TEXT)


class Said(Value):
    """One answer in terms of the screen: places count from 0, left to right."""

    overall: Answer | None = None
    attributes: dict[str, Lean] = Field(default_factory=dict)
    ratings: dict[str, dict[int, str]] = Field(default_factory=dict)
    """Place on a scale, by attribute and by place on the screen."""
    ranks: tuple[int, ...] = ()
    critiques: tuple[SaidCritique, ...] = Field(default=(), max_length=MOST_CRITIQUES)
    edit_place: int = 0
    edit: str = Field(default="", max_length=LONGEST_TEXT)
    reason: str = Field(default="", max_length=LONGEST_TEXT)
    time_on_task_s: float | None = None


class Asked(NamedTuple):
    """Who was asked about what, by which scheme and in which order on the screen."""

    item: Item
    annotator: str
    scheme: Scheme
    round: int
    consent_version: str | None
    supersedes: str | None
    purpose: Purpose | None
    profile: str | None = None
    """Version of the person's settings."""

    @property
    def shown(self) -> tuple[int, ...]:
        """Canonical positions in the order they stand on the screen."""
        return shown_positions(self.item, self.annotator, round=self.round)


def shown_order(annotator: str, item_id: str) -> Side:
    """The side on which `first` stands for this person: the same at every visit, left as often as right over many."""
    return "left" if _hash(annotator, item_id, "side")[0] & 1 else "right"


def shown_positions(item: Item, annotator: str, *, round: int = 0) -> tuple[int, ...]:  # noqa: A002
    """Canonical positions in screen order, fixed for a person and an item; round 1 turns the order round."""
    count = len(item.completions)
    order: tuple[int, ...]
    if count == 2:
        order = (0, 1) if shown_order(annotator, item.id) == "left" else (1, 0)
    else:
        order = tuple(sorted(range(count), key=lambda position: _hash(annotator, item.id, f"place {position}")))
    return order[::-1] if round % 2 else order


def answer_records(asked: Asked, said: Said, *, now: datetime) -> list[Answered]:
    """What is stored for an answer: one judgement, or a ranking followed by the pairs that are read from it.

    Raises InputError with everything that is missing or not of the scheme.
    """
    faults = list(_faults(asked, said))
    if faults:
        message = explain(expected="a whole answer", got=f"{len(faults)} faults", do="answer what is asked")
        raise InputError(message, faults)
    if asked.scheme.task == "ranking" and said.overall is None:
        ranking = _ranking(asked, said, now=now)
        return [ranking, *pairs_of(ranking, purpose=asked.purpose)]
    return [_judgement(asked, said, now=now)]


def same_answer(one: Answered, other: Answered) -> bool:
    """Whether two answers say the same, whenever and however long it took to say it."""
    neutral = {"supersedes": None, "time_on_task_s": None}
    return one.kind == other.kind and one.model_copy(update=neutral).id == other.model_copy(update=neutral).id


def withdrawal_of(record: Answered, *, now: datetime) -> Answered:
    """The record that takes an answer back: it supersedes it and says nothing."""
    said_nothing = {"supersedes": record.id, "created_at": now, "time_on_task_s": None, "ratings": None, "edit": None}
    if isinstance(record, Ranking):
        return record.model_copy(update=said_nothing | {"is_withdrawn": True})
    gone: dict[str, object] = {
        "choice": "cannot_judge",
        "attributes": {},
        "attribute_strengths": None,
        "critiques": (),
        "reason": None,
    }
    return record.model_copy(update=said_nothing | gone | {"source": WITHDRAWN, "strength": 1})


def current_judgements(judgements: Iterable[Judgement]) -> list[Judgement]:
    """Those that still stand: not superseded by another of them, and not an undo."""
    given = list(judgements)
    superseded = {judgement.supersedes for judgement in given}
    return [one for one in given if one.id not in superseded and one.source != WITHDRAWN]


def canonical_choice(answer: Answer, first_shown: Side) -> Choice:
    """What an answer on the screen says of the canonical order."""
    side = answer.removesuffix("_much")
    if side == "left" or side == "right":
        return "first" if side == first_shown else "second"
    if answer == "both_bad" or answer == "cannot_judge":
        return answer
    return "tie"


def credible_time_s(seconds: float | None, item: Item) -> float | None:
    """Time that a page measured, cut at a minute and a second a word; None where it is no time at all."""
    if seconds is None or not math.isfinite(seconds) or seconds < 0:
        return None
    texts = [*(message.content for message in item.prompt), *item.completions]
    words = sum(len(text.split()) for text in texts)
    return round(min(seconds, SECONDS_A_PAIR + SECONDS_A_WORD * words), 1)


def find_span(quote: str, text: str) -> tuple[int, int] | None:
    """Where the words of a quote stand in a text, whatever marks and spaces lie between; None where they do not."""
    words = re.findall(r"\w+", quote)
    found = re.search(r"\W+".join(map(re.escape, words)), text) if words else None
    return found.span() if found else None


def _faults(asked: Asked, said: Said) -> Iterable[str]:
    scheme, places = asked.scheme, len(asked.item.completions)
    if scheme.task == "comparison" and said.overall is None:
        yield "overall: nothing was chosen"
    if scheme.task == "ranking" and said.overall not in (None, "cannot_judge"):
        yield "overall: a ranking has no sides"
    if said.overall != "cannot_judge":
        yield from _missing(asked, said)
    known = {attribute.name for attribute in scheme.attributes}
    yield from (f"{name}: not asked" for name in sorted({*said.attributes, *said.ratings} - known))
    if said.critiques and (not scheme.allows_critique or places > 2):
        yield "critique: not asked"
    for critique in said.critiques:
        if critique.place >= places or critique.category not in scheme.critique_categories:
            yield f"critique: {critique.category!r} on answer {critique.place + 1} is not of the scheme"
    if said.edit.strip() and (not scheme.allows_edit or not 0 <= said.edit_place < places):
        yield "edit: not asked"


def _missing(asked: Asked, said: Said) -> Iterable[str]:
    count = len(asked.item.completions)
    if asked.scheme.task == "ranking" and (len(said.ranks) != count or any(not 1 <= r <= count for r in said.ranks)):
        yield f"ranking: each of the {count} answers needs a rank from 1 to {count}"
    for attribute in asked.scheme.attributes:
        if attribute.kind == "comparison":
            if attribute.name not in said.attributes:
                yield f"{attribute.title}: nothing was chosen"
            continue
        values = {step.value for step in attribute.places}
        given = said.ratings.get(attribute.name, {})
        for place in range(count):
            if given.get(place) not in values:
                yield f"{attribute.title}: nothing was chosen for answer {place + 1}"


def _judgement(asked: Asked, said: Said, *, now: datetime) -> Judgement:
    shown = asked.shown
    first_shown: Side = "left" if shown[0] == 0 else "right"
    answer = said.overall or "cannot_judge"
    is_judged = answer != "cannot_judge"
    leans = said.attributes if is_judged else {}
    critiques = [_critique(asked, one) for one in said.critiques] if is_judged else []
    return Judgement(
        campaign=asked.item.campaign,
        annotator=asked.annotator,
        prompt=asked.item.prompt,
        first=asked.item.first,
        second=asked.item.second,
        choice=canonical_choice(answer, first_shown),
        first_shown=first_shown,
        strength=strength_of(answer),
        attributes={name: canonical_choice(lean, first_shown) for name, lean in leans.items()},
        attribute_strengths={name: strength_of(lean) for name, lean in leans.items()} or None,
        critiques=tuple(critiques),
        ratings=_ratings(asked, said) if is_judged else None,
        edit=_edit(asked, said) if is_judged else None,
        reason=said.reason.strip() or None,
        consent_version=asked.consent_version,
        time_on_task_s=credible_time_s(said.time_on_task_s, asked.item),
        scheme=asked.scheme.id if asked.scheme.attributes or asked.scheme.has_strength else None,
        supersedes=asked.supersedes,
        purpose=asked.purpose,
        profile=asked.profile,
        item=asked.item.id if asked.item.is_marked else None,
        created_at=now,
    )


def _ranking(asked: Asked, said: Said, *, now: datetime) -> Ranking:
    by_position = dict(zip(asked.shown, said.ranks, strict=True))
    return Ranking(
        campaign=asked.item.campaign,
        annotator=asked.annotator,
        prompt=asked.item.prompt,
        completions=asked.item.completions,
        ranks=tuple(by_position[position] for position in sorted(by_position)),
        shown=asked.shown,
        ratings=_ratings(asked, said),
        edit=_edit(asked, said),
        scheme=asked.scheme.id,
        consent_version=asked.consent_version,
        time_on_task_s=credible_time_s(said.time_on_task_s, asked.item),
        supersedes=asked.supersedes,
        profile=asked.profile,
        created_at=now,
    )


def pairs_of(ranking: Ranking, *, purpose: Purpose | None = None, source: str = "assay") -> list[Judgement]:
    """Every pair of a ranking as a judgement; `first_shown` is left where `first` stood before `second`."""
    pairs = []
    for one, other in combinations(range(len(ranking.completions)), 2):
        difference = ranking.ranks[one] - ranking.ranks[other]
        ratings = [r for r in ranking.ratings or () if r.position in (one, other)]
        moved = tuple(r.model_copy(update={"position": int(r.position == other)}) for r in ratings)
        pairs.append(
            Judgement(
                campaign=ranking.campaign,
                annotator=ranking.annotator,
                prompt=ranking.prompt,
                first=ranking.completions[one],
                second=ranking.completions[other],
                choice="tie" if difference == 0 else "first" if difference < 0 else "second",
                first_shown="left" if ranking.shown.index(one) < ranking.shown.index(other) else "right",
                ratings=moved or None,
                consent_version=ranking.consent_version,
                scheme=ranking.scheme,
                ranking=ranking.id,
                profile=ranking.profile,
                purpose=purpose,
                source=source,
                created_at=ranking.created_at,
            )
        )
    return pairs


def _ratings(asked: Asked, said: Said) -> tuple[Rating, ...] | None:
    given = [
        Rating(attribute=name, position=asked.shown[place], value=value)
        for name, values in said.ratings.items()
        for place, value in values.items()
    ]
    return tuple(sorted(given, key=lambda rating: (rating.attribute, rating.position))) or None


def _critique(asked: Asked, said: SaidCritique) -> Critique:
    position = asked.shown[said.place]
    span = find_span(said.quote, asked.item.completions[position])
    start, end = span or (None, None)
    return Critique(
        completion="second" if position else "first",
        text=asked.item.completions[position][start:end] if span else said.quote.strip(),
        category=said.category,
        severity=said.severity,
        start=start,
        end=end,
        comment=said.comment.strip() or None,
    )


def _edit(asked: Asked, said: Said) -> Edit | None:
    text = said.edit.replace("\r\n", "\n").strip()
    position = asked.shown[said.edit_place] if text else 0
    if not text or text == asked.item.completions[position].strip():
        return None
    return Edit(position=position, text=text)


def strength_of(answer: str) -> int:
    """2 where an answer says that one is much better, else 1."""
    return 2 if answer.endswith("_much") else 1


def _hash(annotator: str, item_id: str, purpose: str) -> bytes:
    return sha256("\x00".join([purpose, annotator, item_id]).encode()).digest()


ANSWERS: Sequence[Answer] = get_args(Answer)
