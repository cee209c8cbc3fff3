"""Screens: how other annotation tools name a prompt, its answers and what somebody chose. Takes fields, yields those.

People name fields as they like, so names are known by pattern: `prompt`, `instruction`, `question`, `input` or `text`
for the prompt; `response1`, `answer_b`, `completion-2` and the like for answers, in the order of their number or
letter. The first of two answers stood on the left.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from assay.feedback.answering import Answer, canonical_choice, pairs_of, strength_of
from assay.feedback.formats.row import Row
from assay.records.conversation import Prompt
from assay.records.judgement import Judgement, Ranking

PROMPTS = ("prompt", "instruction", "question", "input", "text")
OVERALL = ("preference", "overall", "choice", "comparison", "better", "label", "pairwise", "ranking", "rank")
REASONS = ("reason", "comment", "rationale", "explanation")
_ANSWER = re.compile(
    r"(?:answer|response|completion|generation|output|reply|option|candidate|text|model)[ _.-]?(\d{1,2}|[a-i])", re.I
)
_WORDS: dict[str, Answer] = {
    "left": "left",
    "a": "left",
    "1": "left",
    "first": "left",
    "right": "right",
    "b": "right",
    "2": "right",
    "second": "right",
    "left_much": "left_much",
    "a_much": "left_much",
    "right_much": "right_much",
    "b_much": "right_much",
    "tie": "tie",
    "same": "tie",
    "equal": "tie",
    "both": "tie",
    "both_good": "tie",
    "both_bad": "both_bad",
    "neither": "both_bad",
    "cannot_judge": "cannot_judge",
    "unsure": "cannot_judge",
}


class Shown(NamedTuple):
    """What stood on the screen: the prompt, and the answers by the names of their fields, from the left."""

    prompt: Prompt
    answers: dict[str, str]


def shown_in(row: Row) -> Shown:
    """The prompt and the answers among the fields of a row; faults where either is missing."""
    prompt_field = next((name for name in PROMPTS if name in row.fields), PROMPTS[0])
    found = {name: hit[1] for name in row.fields if (hit := _ANSWER.fullmatch(name))}
    names = sorted(found, key=lambda name: (len(found[name]), found[name].lower()))
    if not 2 <= len(names) <= 9:
        row.faults.append(f"{len(names)} fields of answers (such as response1, response2), not 2 to 9")
    answers = {name: row.text(name, may_be_empty=True) for name in names}
    if len(set(answers.values())) < len(answers) and not row.faults:
        row.faults.append("two answers are the same")
    return Shown(row.prompt(prompt_field), answers)


def answer_in(value: object, names: Sequence[str]) -> Answer | None:
    """What a word says of two answers, or None: a field's name, a side, a letter, a number, or `tie` and its kin."""
    if not isinstance(value, str):  # a number rates one answer
        return None
    word = _word(value)
    known = {_word(name): side for name, side in zip(names, ("left", "right"), strict=False)}
    return _WORDS.get(known.get(word) or word)


def ranks_in(value: object, names: Sequence[str]) -> tuple[int, ...] | None:
    """Rank of each name, 1 the best and equal ranks ties, or None where the value ranks other things.

    The value lists names from the best, or {value, rank}.
    """
    if not isinstance(value, list):
        return None
    ranks: dict[str, int] = {}
    for place, one in enumerate(value, start=1):
        name, rank = (one.get("value"), one.get("rank")) if isinstance(one, dict) else (one, place)
        if not isinstance(name, str) or not isinstance(rank, int) or name in ranks:
            return None
        ranks[name] = rank
    if set(ranks) != set(names) or any(not 1 <= rank <= len(names) for rank in ranks.values()):
        return None
    return tuple(ranks[name] for name in names)


class Voice(NamedTuple):
    """Who spoke, where, when, and in which format it was written down."""

    annotator: str
    campaign: str
    source: str
    at: datetime
    reason: str | None = None
    time_on_task_s: float | None = None


def compared(shown: Shown, answer: Answer, voice: Voice, *, attributes: Mapping[str, Answer]) -> Judgement:
    """One judgement of two answers; `first` is the left one."""
    left, right = shown.answers.values()
    strengths = {name: strength_of(said) for name, said in attributes.items()}
    return Judgement(
        campaign=voice.campaign,
        annotator=voice.annotator,
        prompt=shown.prompt,
        first=left,
        second=right,
        choice=canonical_choice(answer, "left"),
        first_shown="left",
        strength=strength_of(answer),
        attributes={name: canonical_choice(said, "left") for name, said in attributes.items()},
        attribute_strengths=strengths if any(value > 1 for value in strengths.values()) else None,
        reason=voice.reason,
        time_on_task_s=voice.time_on_task_s,
        source=voice.source,
        created_at=voice.at,
    )


def comparison_in(row: Row, shown: Shown, said: Mapping[str, object], voice: Voice) -> list[Judgement]:
    """The judgement in what one person answered, by question, or nothing; a note names what compares no answers.

    A question called `preference` or the like is the one over all, the others are attributes.
    """
    names = list(shown.answers)
    found = {name: answer_in(value, names) if len(names) == 2 else None for name, value in said.items()}
    sides = {name: side for name, side in found.items() if side is not None}
    row.notes.extend(f"question {name!r} is passed over" for name in sorted(found.keys() - sides.keys()))
    overall = next((name for name in (*OVERALL, *sides) if name in sides), None)
    if overall is None:
        row.notes.append("somebody compared no answers; passed over")
        return []
    return [compared(shown, sides.pop(overall), voice, attributes=sides)]


def ranked(shown: Shown, ranks: Sequence[int], voice: Voice) -> list[Judgement | Ranking]:
    """A ranking followed by the pairs that are read from it."""
    ranking = Ranking(
        campaign=voice.campaign,
        annotator=voice.annotator,
        prompt=shown.prompt,
        completions=tuple(shown.answers.values()),
        ranks=tuple(ranks),
        shown=tuple(range(len(ranks))),
        time_on_task_s=voice.time_on_task_s,
        created_at=voice.at,
    )
    return [ranking, *pairs_of(ranking, source=voice.source)]


class Screen(NamedTuple):
    """A judgement as its person saw it: answers from the left, and what was said in terms of the screen."""

    left: str
    right: str
    answer: Answer
    attributes: dict[str, Answer]


def screen_of(judgement: Judgement) -> Screen:
    """Turn a judgement back into what stood on the screen."""
    is_left = judgement.first_shown == "left"
    left, right = (judgement.first, judgement.second) if is_left else (judgement.second, judgement.first)
    strengths = judgement.attribute_strengths or {}
    attributes = {
        name: _answer(choice, is_left, strengths.get(name, 1)) for name, choice in judgement.attributes.items()
    }
    return Screen(left, right, _answer(judgement.choice, is_left, judgement.strength), attributes)


def fields_shown(screen: Screen, prompt: Prompt, *, names: tuple[str, str]) -> dict[str, object]:
    """A prompt (text where it is one question, else messages) and two answers under these names, from the left."""
    is_chat = len(prompt) > 1 or prompt[0].role != "user"
    asked: object = [message.model_dump() for message in prompt] if is_chat else prompt[0].content
    return {"prompt": asked, names[0]: screen.left, names[1]: screen.right}


def by_screen(judgements: Iterable[Judgement]) -> list[tuple[Screen, list[Judgement]]]:
    """Judgements that saw the same prompt with the same answers on the same sides, together, in the order given."""
    groups: dict[tuple[str, str, str], tuple[Screen, list[Judgement]]] = {}
    for judgement in judgements:
        screen = screen_of(judgement)
        key = (judgement.prompt_id, screen.left, screen.right)
        groups.setdefault(key, (screen, []))[1].append(judgement)
    return list(groups.values())


def _word(text: str) -> str:
    return re.sub(r"[\s_-]+", "_", text.strip().lower())


def _answer(choice: str, is_left: bool, strength: int) -> Answer:
    if choice in ("tie", "both_bad", "cannot_judge"):
        return _WORDS[choice]
    side = "left" if (choice == "first") == is_left else "right"
    return _WORDS[f"{side}_much" if strength > 1 else side]
