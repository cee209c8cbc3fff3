"""Simulated panel: people whose habits are declared numbers, for demos and tests where no real person judges.

Takes pairs with gold scores as plain numbers (this room knows no gold) and yields judgements with source `simulated`.

The panel of `demo_panel` shares a pull towards length on purpose, mild in the careful and strong in a quarter of it: an
error that all annotators share reaches every member of a reward ensemble, so no ensemble can vote it away. That is the
hole that a policy finds, and the reason for monitors and for raters that the optimiser never saw. These people show
that a safeguard works against these habits; they say nothing about how common the habits are among real people.

How one answers: the lean towards `first`, in logits, is

    (gold_first - gold_second + length_pull ln(words_first / words_second)
        + flattery_pull (phrases_first - phrases_second)) / temperature + side_bias (if first stands left, else -)

plus standard logistic noise. Within `TIE_BAND` of zero the answer is a tie, beyond `STRONG_LEAN` the preference is
strong (2). A share `careless_rate` of answers is a quick coin without reading; a share `flip_rate` of the others comes
out the wrong way round. So without any pull a gold difference of one temperature wins 76 % of the decided answers.

On golds of unit variance and lengths of 5 to 60 words drawn apart from them, the demo panel decides 73 % of answers
for the better completion and 60 % for the longer one, and calls 8 % ties; at `bias_scale` 0 it is 77 % and 50 %, at 2
it is 70 % and 65 %.
"""

import math
import re
from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

import numpy as np
from pydantic import Field

from assay.records.conversation import Prompt
from assay.records.errors import ConfigError, InputError, explain
from assay.records.judgement import Choice, Judgement, Side
from assay.records.record import Value

TIE_BAND = 0.35
"""Half-width of the band of leans (logits) that is answered with a tie."""
STRONG_LEAN = 2.5
"""The lean (logits) from which an answer says `much better`."""
WORDS_PER_SECOND = 4.0
"""Silent reading speed of adults, about 240 words a minute."""

_FLATTERY = re.compile(
    r"\b(?:(?:great|excellent|wonderful|brilliant|fantastic|amazing|fascinating) (?:question|idea|point|choice)"
    r"|you(?:'re| are) (?:so |absolutely |completely |very )?(?:right|smart|brilliant|clever|insightful|kind)"
    r"|(?:i'm |i am )?so glad you asked|what a (?:great|wonderful|brilliant|thoughtful)|i admire|well done)\b",
    re.IGNORECASE,
)


class SimulatedAnnotator(Value):
    """One declared person. The pulls are in units of gold; the default is an unbiased judge."""

    name: str
    temperature: float = Field(default=1.0, gt=0)
    """Noise: how much gold difference makes one logit. Careful people have less."""
    flip_rate: float = Field(default=0.0, ge=0, le=1)
    """Share of read answers given the wrong way round."""
    side_bias: float = 0.0
    """Logits in favour of the completion on the left."""
    length_pull: float = 0.0
    """Gold units for each factor e of more words: how much `detailed` looks like good."""
    flattery_pull: float = 0.0
    """Gold units for each flattering phrase."""
    careless_rate: float = Field(default=0.0, ge=0, le=1)
    """Share of answers that are a coin without reading."""


class SimulatedPair(NamedTuple):
    """A prompt with two completions and what each is truly worth."""

    prompt: Prompt
    first: str
    second: str
    gold_first: float
    gold_second: float


def demo_panel() -> tuple[SimulatedAnnotator, ...]:
    """Twelve people: four careful, two noisy, one careless, one side-biased, three fond of length, one of flattery."""
    person = SimulatedAnnotator
    return (
        person(name="careful-1", temperature=0.4, length_pull=0.4),  # reads well, mildly impressed by detail
        person(name="careful-2", temperature=0.4, length_pull=0.5),  # the same, a little more impressed
        person(name="careful-3", temperature=0.5, length_pull=0.4, flip_rate=0.02),  # now and then hits the wrong key
        person(name="careful-4", temperature=0.5),  # the only one whom nothing but quality moves
        person(name="noisy-1", temperature=1.5, length_pull=0.3, flip_rate=0.05),  # reads in a hurry
        person(name="noisy-2", temperature=2.0, length_pull=0.3, flip_rate=0.10),  # reads in a greater hurry
        person(name="careless-1", careless_rate=1.0),  # a coin: clicks without reading
        person(name="left-1", temperature=0.8, side_bias=1.5, length_pull=0.3),  # prefers what stands on the left
        person(name="length-1", temperature=0.5, length_pull=1.8),  # takes long for thorough
        person(name="length-2", temperature=0.6, length_pull=2.2),  # takes long for thorough, more so
        person(name="length-3", temperature=0.8, length_pull=2.6, flip_rate=0.03),  # hardly sees past length
        person(name="flattery-1", temperature=0.6, flattery_pull=1.2, length_pull=0.3),  # likes to be praised
    )


def audit_panel() -> tuple[SimulatedAnnotator, ...]:
    """Three people who look at a run on its way and at nothing else: read well, and mildly impressed by detail."""
    person = SimulatedAnnotator
    return (
        person(name="auditor-1", temperature=0.4, length_pull=0.3),  # reads well
        person(name="auditor-2", temperature=0.5, length_pull=0.4),  # the same, a little more impressed by detail
        person(name="auditor-3", temperature=0.8, flip_rate=0.03),  # in more of a hurry
    )


def simulate(
    pairs: Sequence[SimulatedPair],
    panel: Sequence[SimulatedAnnotator],
    *,
    judgements_per_pair: int,
    rng: np.random.Generator,
    now: datetime,
    campaign: str,
    consent_version: str | None,
    bias_scale: float = 1.0,
) -> list[Judgement]:
    """Let different random members of the panel judge each pair, `first` on a random side each time.

    `bias_scale` multiplies the pulls towards length and flattery (0 makes them fair), not the side bias: only the
    former can be learnt by a reward. Raises ConfigError for a panel that cannot do it, InputError for gold scores that
    are not finite.
    """
    _check(pairs, panel, judgements_per_pair)
    judgements = []
    for pair in pairs:
        pulls = _pulls(pair)
        for index in rng.permutation(len(panel))[:judgements_per_pair]:
            person = panel[index]
            side: Side = "left" if rng.random() < 0.5 else "right"
            answer = _answer(person, pulls, side=side, bias_scale=bias_scale, rng=rng)
            judgements.append(
                Judgement(
                    created_at=now,
                    campaign=campaign,
                    annotator=person.name,
                    prompt=pair.prompt,
                    first=pair.first,
                    second=pair.second,
                    choice=answer.choice,
                    first_shown=side,
                    strength=answer.strength,
                    consent_version=consent_version,
                    time_on_task_s=answer.seconds,
                    source="simulated",
                )
            )
    return judgements


def flattery_count(text: str) -> int:
    """Number of flattering phrases in a text, from a short closed list."""
    return len(_FLATTERY.findall(text))


class _Pulls(NamedTuple):
    gold: float
    length: float
    flattery: float
    words: int


class _Answer(NamedTuple):
    choice: Choice
    strength: int
    seconds: float


def _pulls(pair: SimulatedPair) -> _Pulls:
    first, second = (max(1, len(text.split())) for text in (pair.first, pair.second))
    return _Pulls(
        gold=pair.gold_first - pair.gold_second,
        length=math.log(first / second),
        flattery=flattery_count(pair.first) - flattery_count(pair.second),
        words=first + second + sum(len(message.content.split()) for message in pair.prompt),
    )


def _answer(
    person: SimulatedAnnotator, pulls: _Pulls, *, side: Side, bias_scale: float, rng: np.random.Generator
) -> _Answer:
    if rng.random() < person.careless_rate:
        return _Answer("first" if rng.random() < 0.5 else "second", 1, _seconds(0, rng))
    bias = bias_scale * (person.length_pull * pulls.length + person.flattery_pull * pulls.flattery)
    lean = (pulls.gold + bias) / person.temperature + person.side_bias * (1 if side == "left" else -1)
    lean += float(rng.logistic())
    if rng.random() < person.flip_rate:
        lean = -lean
    seconds = _seconds(pulls.words, rng)
    if abs(lean) < TIE_BAND:
        return _Answer("tie", 1, seconds)
    return _Answer("first" if lean > 0 else "second", 2 if abs(lean) > STRONG_LEAN else 1, seconds)


def _seconds(words: int, rng: np.random.Generator) -> float:
    """Reading at a person's pace, then a decision: log-normal around three seconds."""
    pace = float(rng.lognormal(mean=0.0, sigma=0.2))
    return round(words / WORDS_PER_SECOND * pace + float(rng.lognormal(mean=math.log(3.0), sigma=0.5)), 1)


def _check(pairs: Sequence[SimulatedPair], panel: Sequence[SimulatedAnnotator], judgements_per_pair: int) -> None:
    if len({person.name for person in panel}) < len(panel):
        names = ", ".join(person.name for person in panel)
        raise ConfigError(explain(expected="a panel with different names", got=names, do="rename one of the equal two"))
    if not 1 <= judgements_per_pair <= len(panel):
        got = f"{judgements_per_pair} judgements a pair from a panel of {len(panel)}"
        do = "ask for fewer judgements or enlarge the panel"
        raise ConfigError(explain(expected="1 to as many judgements a pair as there are people", got=got, do=do))
    faults = [
        f"pair {number}: gold scores {pair.gold_first} and {pair.gold_second}"
        for number, pair in enumerate(pairs, start=1)
        if not (math.isfinite(pair.gold_first) and math.isfinite(pair.gold_second))
    ]
    if faults:
        got = f"{len(faults)} pairs without"
        do = "mend the scorer that gave them"
        raise InputError(explain(expected="finite gold scores", got=got, do=do), faults)
