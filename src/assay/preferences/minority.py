"""Minority: where a group of annotators sees pairs otherwise than the whole, beyond what any group of its size would.

Takes a judgement table, the traits of its annotators and, where known, the topic of each pair; yields a report and, for
pairs on which a group differs, the views of both. Two steps. First, for each group and topic, the sum over pairs of
n (group's mean - whole mean)^2 is compared with that of random groups of as many people (a size-matched null that
keeps each person's judgements together), and the Benjamini-Hochberg procedure holds the share of false discoveries.
Then, inside what was found, each pair is tested by the exact hypergeometric distribution, with the same control.

Catches: a group whose members agree with each other against the rest, whichever way the pairs go. Does not catch:
differences inside one pair that no topic shares, unless the group has many members on it; groups nobody named. A group
of careless people can be found too where all others agree: read its agreement beside the finding. What people told in
confidence asks for more than a smallest group: with `withholds`, `withholding` takes out what would tell of a few.
"""

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import NamedTuple

import numpy as np
from scipy.sparse import csr_array
from scipy.stats import false_discovery_control, hypergeom

from assay.preferences.aggregation import Aggregation, restated
from assay.preferences.agreement import one_per_person
from assay.preferences.table import Floats, Ints, JudgementTable, Pair, pair_key
from assay.preferences.withholding import Described, described, shown
from assay.records.errors import ConfigError, explain
from assay.records.preference import GroupDifference, MinorityReport

Traits = Mapping[str, Mapping[str, str]]
"""What annotators said of themselves: a value by trait, by annotator."""

ALL_PAIRS, EVERYONE = "all pairs", "everyone"
PULL = 4.0
"""How many members of mind with the whole are added to a group before its view of one pair is stated."""

FIRST_LOOK = 500
"""Random groups that every group is compared with."""
COUNTED_FROM = 10
"""Fewer random groups beyond a group than this ask for a closer look: a p value from new random groups alone."""
CLOSE_LOOK, CLOSEST_LOOK = 10_000, 200_000
"""Least and most random groups of a closer look; between them as many as make the smallest p value significant."""
DENSE_UP_TO = 4_000_000
"""Entries up to which a matrix of people and pairs is worked on as it is."""


class MinorityViews(NamedTuple):
    """The report, and by pair number the chance that one of a group, or of all, prefers `a`, for groups that differ."""

    report: MinorityReport
    views: dict[int, dict[str, float]]


class _Shown(NamedTuple):
    """What may be shown of groups: everything where `smallest` is None."""

    described: Mapping[str, Described]
    members: Mapping[str, Ints]
    smallest: int | None

    def among(self, groups: Mapping[str, Ints], people: Ints) -> dict[str, Ints]:
        """Those of the groups that may be shown where these people judged."""
        if self.smallest is None:
            return dict(groups)
        here = {self.described[name]: set(np.intersect1d(self.members[name], people).tolist()) for name in groups}
        may = {described(one) for one in shown(here, len(people), smallest=self.smallest)}
        return {name: members for name, members in groups.items() if name in may}

    def views(self, views: Mapping[int, dict[str, float]], was_asked: csr_array) -> dict[int, dict[str, float]]:
        """The views of those groups that may be shown on each pair, beside that of everyone."""
        if self.smallest is None:
            return dict(views)
        by_pair, kept = was_asked.tocsc(), {}
        for pair, view in views.items():
            people = by_pair.indices[by_pair.indptr[pair] : by_pair.indptr[pair + 1]].astype(np.int64)
            groups = {name: self.members[name] for name in view if name != EVERYONE}
            may = self.among(groups, people)
            if may:
                kept[pair] = {name: share for name, share in view.items() if name == EVERYONE or name in may}
        return kept


class _Finding(NamedTuple):
    topic: str
    group: str
    members: Ints
    pairs: Ints
    gap: float
    p_value: float


def named_groups(
    annotators: Sequence[str],
    traits: Traits,
    *,
    smallest_group: int,
    with_intersections: bool = True,
    withholds: bool = False,
) -> tuple[dict[str, Ints], int]:
    """Groups as annotator numbers by `trait: value` (two joined by ` & `), and how many were too small to name.

    A group that holds everybody is left out: it differs from nothing. With `withholds` those too that leave too few
    others, or that tell of too few beside another group, count as too small.
    """
    groups, everyone = _groups(annotators, traits, with_intersections=with_intersections), len(annotators)
    if withholds:
        large = shown(groups, everyone, smallest=smallest_group)
    else:
        large = {one for one, found in groups.items() if len(found) >= smallest_group}
    named = {described(one): np.array(sorted(groups[one])) for one in large if len(groups[one]) < everyone}
    return dict(sorted(named.items())), len(groups) - len(large)


def _groups(annotators: Sequence[str], traits: Traits, *, with_intersections: bool) -> dict[Described, set[int]]:
    by_value: dict[Described, set[int]] = {}
    for number, name in enumerate(annotators):
        for trait, value in traits.get(name, {}).items():
            by_value.setdefault(frozenset([(trait, value)]), set()).add(number)
    groups = dict(by_value)
    if with_intersections:
        for one, other in combinations(sorted(by_value, key=described), 2):
            both = by_value[one] & by_value[other]
            if both and _trait(one) != _trait(other) and both not in (by_value[one], by_value[other]):
                groups[one | other] = both
    return groups


def _trait(value: Described) -> str:
    ((trait, _),) = value
    return trait


def minority_views(
    table: JudgementTable,
    traits: Traits,
    *,
    rng: np.random.Generator,
    topics: Sequence[str] | None = None,
    smallest_group: int = 5,
    false_discovery_rate: float = 0.05,
    with_intersections: bool = True,
    withholds: bool = False,
) -> MinorityViews:
    """Find where groups differ. `topics` has one name a pair (all pairs are one topic if none).

    With `withholds` nothing is shown that tells of fewer than the smallest group: no group, on no topic and on no pair.

    Raises ConfigError for groups that may be smaller than two or a rate that is no share.
    """
    if smallest_group < 2 or not 0 < false_discovery_rate < 1:
        got = f"{smallest_group} and {false_discovery_rate:g}"
        do = "a group of one is a person; 5 and 0.05 are usual"
        raise ConfigError(explain(expected="a smallest group of 2 or more, a rate between 0 and 1", got=got, do=do))
    told = _groups(table.annotators, traits, with_intersections=with_intersections)
    groups, suppressed = named_groups(
        table.annotators,
        traits,
        smallest_group=smallest_group,
        with_intersections=with_intersections,
        withholds=withholds,
    )
    said, was_asked = _by_person(table)
    may_show = _Shown({described(one): one for one in told}, groups, smallest_group if withholds else None)
    names = np.array([ALL_PAIRS] * len(table.pairs) if topics is None else list(topics))
    found_topics = sorted(set(names.tolist()))
    close_look = int(4 * len(groups) * len(found_topics) / false_discovery_rate)
    close_look = min(max(close_look, CLOSE_LOOK), CLOSEST_LOOK)
    tested: list[_Finding] = []
    for name in found_topics:
        pairs = np.flatnonzero(names == name)
        topic = _topic(said[:, pairs], was_asked[:, pairs])
        tested += _tested(name, pairs, topic, may_show.among(groups, topic.present), close_look, rng)
    found = [one for one, keep in zip(tested, _discovered(tested, false_discovery_rate), strict=True) if keep]
    views: dict[int, dict[str, float]] = {}
    for finding in found:
        _add_views(views, finding, said, was_asked)
    views = may_show.views(views, was_asked)
    differences = []
    for finding in found:
        significant = _significant_pairs(finding, said, was_asked, false_discovery_rate).tolist()
        shown_too = [table.pairs[number] for number in significant if finding.group in views.get(number, {})]
        differences.append(_difference(finding, shown_too))
    report = MinorityReport(
        differences=tuple(differences),
        tests=len(tested),
        suppressed=suppressed,
        smallest_group=smallest_group,
        false_discovery_rate=false_discovery_rate,
    )
    return MinorityViews(report, views)


def _difference(finding: _Finding, significant: Sequence[Pair]) -> GroupDifference:
    return GroupDifference(
        group=finding.group,
        members=len(finding.members),
        topic=finding.topic,
        pairs=len(finding.pairs),
        gap=finding.gap,
        p_value=finding.p_value,
        significant_pairs=tuple(sorted(pair_key(pair) for pair in significant)),
    )


def with_both_views(aggregation: Aggregation, table: JudgementTable, found: MinorityViews) -> Aggregation:
    """The aggregation with the minority report, and with the views of both on each preference where a group differs."""
    views = {pair_key(table.pairs[number]): (table.pairs[number].a, view) for number, view in found.views.items()}
    result = restated(aggregation, aggregation.report.model_copy(update={"minority": found.report}))
    preferences = []
    for preference in result.preferences:
        key = pair_key(Pair(preference.prompt, preference.chosen, preference.rejected))
        if key in views:
            a, view = views[key]
            of_chosen = {name: share if preference.chosen == a else 1 - share for name, share in view.items()}
            preference = preference.model_copy(update={"by_group": of_chosen})
        preferences.append(preference)
    return Aggregation(result.report, tuple(preferences))


def _by_person(table: JudgementTable) -> tuple[csr_array, csr_array]:
    """Outcomes and ones, [people, pairs], one judgement a person and pair."""
    rows = one_per_person(table)
    at, shape = (table.annotator[rows], table.pair[rows]), (len(table.annotators), len(table.pairs))
    said = csr_array((table.outcome[rows].astype(np.float64), at), shape=shape)
    return said, csr_array((np.ones(len(rows)), at), shape=shape)


class _Topic(NamedTuple):
    """What those present said on the pairs of a topic: [people, pairs], dense where that is small."""

    present: Ints
    said: Floats | csr_array
    was_asked: Floats | csr_array
    whole: Floats

    def distances(self, picks: Ints) -> Floats:
        """Sum over pairs of n (mean of the picked - mean of all)^2 for each row of picked places in `present`."""
        people, pairs = self.said.shape
        found = np.empty(len(picks))
        chunk = max(1, DENSE_UP_TO // max(people, pairs))
        for first in range(0, len(picks), chunk):
            part = picks[first : first + chunk]
            if isinstance(self.said, csr_array) and isinstance(self.was_asked, csr_array):
                start = np.arange(len(part) + 1) * part.shape[1]
                chooser = csr_array((np.ones(part.size), part.ravel(), start), shape=(len(part), people))
                counts, said = (chooser @ self.was_asked).toarray(), (chooser @ self.said).toarray()
            else:
                taken = np.zeros((len(part), people))
                np.put_along_axis(taken, part, 1.0, axis=1)
                counts, said = taken @ self.was_asked, taken @ self.said
            found[first : first + chunk] = ((said - counts * self.whole) ** 2 / np.maximum(counts, 1)).sum(axis=1)
        return found


def _topic(said: csr_array, was_asked: csr_array) -> _Topic:
    present = np.flatnonzero(np.diff(was_asked.indptr) > 0)
    said, was_asked = said[present], was_asked[present]
    whole = said.sum(axis=0) / np.maximum(was_asked.sum(axis=0), 1)
    is_small = said.shape[0] * said.shape[1] <= DENSE_UP_TO
    if is_small:
        return _Topic(present, said.toarray(), was_asked.toarray(), whole)
    return _Topic(present, said, was_asked, whole)


def _tested(
    name: str, pairs: Ints, topic: _Topic, groups: Mapping[str, Ints], close_look: int, rng: np.random.Generator
) -> list[_Finding]:
    """One comparison a group with at least two members who judged the topic; nulls are shared by groups of a size."""
    count = len(topic.present)
    # One shuffle serves all sizes: the first m of a shuffled panel are a random group of m.
    shuffled = _shuffled(count, FIRST_LOOK, rng)
    nulls: dict[int, Floats] = {}
    judged_by_all = float(topic.was_asked.sum())
    findings = []
    for group, everyone in groups.items():
        members = np.flatnonzero(np.isin(topic.present, everyone))
        size = len(members)
        if size < 2 or size >= count:
            continue
        if size not in nulls:
            nulls[size] = topic.distances(shuffled[:, :size])
        own, null = float(topic.distances(members[None, :])[0]), nulls[size]
        p_value, above = _chance(own, null)
        if above < COUNTED_FROM:
            p_value, _ = _chance(own, topic.distances(_shuffled(count, close_look, rng)[:, :size]))
        judged = float(topic.was_asked[members].sum())
        # Distances are from the whole, which holds the group; from the others they are larger by this much.
        away = judged_by_all / max(judged_by_all - judged, 1.0)
        gap = np.sqrt(max(own - float(null.mean()), 0.0) / max(judged, 1.0)) / 2 * away
        findings.append(_Finding(name, group, topic.present[members], pairs, float(gap), p_value))
    return findings


def _shuffled(count: int, times: int, rng: np.random.Generator) -> Ints:
    return np.asarray(rng.permuted(np.tile(np.arange(count), (times, 1)), axis=1))


def _chance(own: float, null: Floats) -> tuple[float, int]:
    """Chance under the null of a distance as large, counted, and the count."""
    above = int(np.count_nonzero(null >= own * (1 - 1e-12)))
    return (1 + above) / (1 + len(null)), above


def _discovered(tested: Sequence[_Finding], rate: float) -> list[bool]:
    if not tested:
        return []
    adjusted = false_discovery_control([one.p_value for one in tested], method="bh")
    return [bool(value <= rate) for value in adjusted]


def _significant_pairs(finding: _Finding, said: csr_array, was_asked: csr_array, rate: float) -> Ints:
    """Pairs of a finding that differ by themselves: exact, two-sided, among those who decided."""
    own, asked = said[:, finding.pairs][finding.members], was_asked[:, finding.pairs]
    for_a_group = np.asarray((own > 0).sum(axis=0)).ravel()
    decided_group = for_a_group + np.asarray((own < 0).sum(axis=0)).ravel()
    every = said[:, finding.pairs]
    for_a = np.asarray((every > 0).sum(axis=0)).ravel()
    decided = for_a + np.asarray((every < 0).sum(axis=0)).ravel()
    law = hypergeom(np.maximum(decided, 1), for_a, decided_group)
    p_values = np.minimum(1.0, 2 * np.minimum(law.cdf(for_a_group), law.sf(for_a_group - 1)))
    comparable = np.flatnonzero((decided_group >= 2) & (decided > decided_group))
    if not len(comparable) or not asked.shape[1]:
        return np.empty(0, dtype=np.int64)
    adjusted = false_discovery_control(p_values[comparable], method="bh")
    return np.asarray(finding.pairs[comparable[adjusted <= rate]])


def _add_views(views: dict[int, dict[str, float]], finding: _Finding, said: csr_array, was_asked: csr_array) -> None:
    own = np.asarray(said[:, finding.pairs][finding.members].sum(axis=0)).ravel()
    size = np.asarray(was_asked[:, finding.pairs][finding.members].sum(axis=0)).ravel()
    whole = np.asarray(said[:, finding.pairs].sum(axis=0)).ravel()
    count = np.asarray(was_asked[:, finding.pairs].sum(axis=0)).ravel()
    everyone = (1 + whole / np.maximum(count, 1)) / 2
    of_group = ((own + size) / 2 + PULL * everyone) / (size + PULL)
    for place in np.flatnonzero(size > 0):
        pair = views.setdefault(int(finding.pairs[place]), {})
        pair[EVERYONE] = float(everyone[place])
        pair[finding.group] = float(of_group[place])
