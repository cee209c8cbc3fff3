"""Minority: homogeneous panels, to count false discoveries, and panels with a planted group, to count what is found.

Takes numbers of panels; yields shares. A panel has 200 people with three self-declared traits, and 40 pairs in four
topics of ten. On a pair with probability p that the usual person chooses `a`, the planted group of 20 chooses it with
p + 0.25 or p - 0.25, the way it goes drawn anew for each pair.
"""

from typing import NamedTuple

import numpy as np

from assay.preferences import JudgementTable, minority_views
from assay.preferences.minority import Traits
from assay.preferences.table import Pair
from assay.records.conversation import user_prompt

PEOPLE, PAIRS, TOPICS, GAP, GROUP_SIZE = 200, 40, 4, 0.25, 20
PLANTED, PLANTED_TOPIC = "origin: planted", "topic 0"


class MinorityOutcome(NamedTuple):
    """`false` is the share of homogeneous panels with any finding; the others are shares of planted panels in which the
    group was found on its topic: everyone judges everything, everyone judges a quarter, and the topic is one pair.
    `mean_gap` is what the report said of the planted 0.25 where it was found.
    """

    false: float
    power: float
    sparse_power: float
    one_pair_power: float
    mean_gap: float
    homogeneous_panels: int
    planted_panels: int


class _Design(NamedTuple):
    pairs_a_topic: int
    pairs_a_person: int
    is_planted: bool


def measure_minority(*, homogeneous: int, planted: int, seed: int) -> MinorityOutcome:
    """Count findings. Half of the homogeneous panels are dense and half sparse."""
    rng = np.random.default_rng(seed)
    dense, sparse = PAIRS, PAIRS // TOPICS
    designs = [_Design(10, (dense, sparse)[number % 2], False) for number in range(homogeneous)]
    false = [bool(_found(design, rng)) for design in designs]
    gaps = [_gap(_Design(10, dense, True), rng) for _ in range(planted)]
    seen = [gap for gap in gaps if gap is not None]
    return MinorityOutcome(
        false=float(np.mean(false)),
        power=len(seen) / planted,
        sparse_power=_share([_gap(_Design(10, sparse, True), rng) for _ in range(planted)]),
        one_pair_power=_share([_gap(_Design(1, TOPICS, True), rng) for _ in range(planted)]),
        mean_gap=float(np.mean(seen)) if seen else 0.0,
        homogeneous_panels=homogeneous,
        planted_panels=planted,
    )


def _share(gaps: list[float | None]) -> float:
    return sum(gap is not None for gap in gaps) / len(gaps)


def _gap(design: _Design, rng: np.random.Generator) -> float | None:
    return _found(design, rng).get((PLANTED, PLANTED_TOPIC))


def _found(design: _Design, rng: np.random.Generator) -> dict[tuple[str, str], float]:
    """Gaps by group and topic, as the report of one simulated panel states them."""
    table, topics, traits = _panel(design, rng)
    views = minority_views(table, traits, rng=rng, topics=topics)
    return {(one.group, one.topic): one.gap for one in views.report.differences}


def _panel(design: _Design, rng: np.random.Generator) -> tuple[JudgementTable, list[str], Traits]:
    count = design.pairs_a_topic * TOPICS
    names = tuple(f"p{number:03d}" for number in range(PEOPLE))
    in_group = rng.permutation(np.arange(PEOPLE) < GROUP_SIZE)
    told = {"age": ("young", "middle", "old"), "region": ("north", "south", "east", "west")}
    values = {trait: rng.choice(kinds, size=PEOPLE) for trait, kinds in told.items()}
    values["origin"] = np.where(in_group, "planted", "other")
    traits = {name: {trait: str(values[trait][at]) for trait in values} for at, name in enumerate(names)}

    share = rng.uniform(GAP, 1 - GAP, size=count)
    shift = rng.choice(np.array([-GAP, GAP]), size=count) * (np.arange(count) < design.pairs_a_topic)
    asked = np.argsort(rng.random((PEOPLE, count)), axis=1)[:, : design.pairs_a_person]
    annotator, pair = np.repeat(np.arange(PEOPLE), design.pairs_a_person), asked.ravel()
    chance = share[pair] + (shift[pair] * in_group[annotator] if design.is_planted else 0.0)
    outcome = np.where(rng.random(len(pair)) < chance, 1, -1)
    table = JudgementTable(
        judgements=(),
        pairs=tuple(Pair(user_prompt(f"prompt {number}"), "a", "b") for number in range(count)),
        annotators=names,
        pair=pair,
        annotator=annotator,
        outcome=outcome,
        side=rng.choice(np.array([-1, 1]), size=len(pair)),
        item_a=2 * pair,
        item_b=2 * pair + 1,
        items=2 * count,
        notes=(),
    )
    return table, [f"topic {number // design.pairs_a_topic}" for number in range(count)], traits
