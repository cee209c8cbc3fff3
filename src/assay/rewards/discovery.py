"""Discovery: habits that nobody named. Takes completions before and after optimisation, yields what became different.

All markers of one comparison are tested together, so that two sets of completions of one and the same policy give a
find in at most `alpha` of the comparisons:

    contrast          independent rows: Fisher's exact test, both tails, Holm or Benjamini-Hochberg; markers too rare or
                      too common ever to be significant are left out first (Tarone 1990), which looks at no labels
    contrast_within   several rows a prompt: stratified z (Mantel & Haenszel 1959), labels permuted within each prompt,
                      the largest |z| over all markers as the yardstick (Westfall & Young 1993)

Catches: any habit that shows in the markers, also one inside the reference's support, which outlier rates and
over-optimisation curves miss. Does not catch: another meaning in the same words, or a habit in too few completions. A
find is a difference and not yet a fault: a person must look at it.
"""

from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

import numpy as np
from scipy.sparse import csr_array
from scipy.stats import false_discovery_control, hypergeom

from assay.records.conversation import Prompt, prompt_id
from assay.records.errors import InputError, explain
from assay.rewards.markers import marked, read_markers

ALPHA = 0.05
SAME_ROWS = 0.8
"""Two finds whose rows overlap by this much (intersection over union) are one habit."""


class Find(NamedTuple):
    """A marker whose share differs. `ratio` is optimised to reference, half a row added to each.

    `p_value` is corrected for all markers tested.
    """

    marker: str
    share_optimised: float
    share_reference: float
    ratio: float
    p_value: float


class Habit(NamedTuple):
    """A find with the other markers of the same rows (`also`), and pieces of text around it."""

    find: Find
    also: tuple[str, ...]
    examples: tuple[str, ...]


class Corpus(NamedTuple):
    """Completions [n] with their prompts [n]."""

    prompts: Sequence[Prompt]
    texts: Sequence[str]

    def take(self, rows: Sequence[int]) -> "Corpus":
        """The completions of some rows."""
        return Corpus([self.prompts[i] for i in rows], [self.texts[i] for i in rows])


class Discovery(NamedTuple):
    """What a comparison found, strongest first, among `markers` markers in so many completions of each side."""

    habits: tuple[Habit, ...]
    markers: int
    optimised: int
    reference: int
    is_within_prompts: bool


class ReviewDraft(NamedTuple):
    """What a person is asked to look at: a title, a reason with examples, numbers."""

    title: str
    reason: str
    evidence: Mapping[str, float]


def contrast(
    present_opt: np.ndarray,
    present_ref: np.ndarray,
    names: Sequence[str],
    *,
    alpha: float = ALPHA,
    correction: Literal["holm", "bh"] = "holm",
) -> tuple[Find, ...]:
    """Markers whose share differs between independent rows of claims, [n, f] and [m, f]; strongest first.

    Holm bounds the chance of any false find by `alpha`, Benjamini-Hochberg the expected share of false ones. Raises
    InputError when shapes and names do not match or a side is empty.
    """
    _check(present_opt, present_ref, names)
    n, m = len(present_opt), len(present_ref)
    a, b = (np.asarray(present, dtype=bool).sum(0) for present in (present_opt, present_ref))
    tested = np.flatnonzero(_can_be_found(a + b, n, m, alpha))
    if not len(tested):
        return ()
    raw = _fisher(a[tested], (a + b)[tested], n, m)
    corrected = _holm(raw) if correction == "holm" else false_discovery_control(raw)
    counts = (a[tested], b[tested], n, m)
    return _finds([names[i] for i in tested.tolist()], *counts, corrected=np.asarray(corrected), alpha=alpha)


def contrast_within(
    present_opt: np.ndarray | csr_array,
    present_ref: np.ndarray | csr_array,
    names: Sequence[str],
    groups: tuple[np.ndarray, np.ndarray],
    *,
    rng: np.random.Generator,
    alpha: float = ALPHA,
    resamples: int = 1000,
) -> tuple[Find, ...]:
    """Markers whose share differs within prompts between rows of claims, [n, f] and [m, f]; strongest first.

    `groups` are the prompts' numbers, [n] and [m]; prompts that only one side has say nothing and are left out. Labels
    are exchangeable within a prompt where nothing changed, so the level holds however rows and markers hang together.
    """
    _check(present_opt, present_ref, names)
    shared = np.intersect1d(*groups)
    ours, theirs = (np.flatnonzero(np.isin(side, shared)) for side in groups)
    if not len(shared):
        return ()
    group = np.concatenate([groups[0][ours], groups[1][theirs]])
    order = np.argsort(group, kind="stable")
    rows = np.concatenate([csr_array(present_opt)[ours].toarray(), csr_array(present_ref)[theirs].toarray()])[order]
    label = np.repeat([1.0, 0.0], [len(ours), len(theirs)])[order]
    _, group = np.unique(group[order], return_inverse=True)
    expected, sd = _by_chance(rows.astype(np.float64), label, group)
    tested = np.flatnonzero(sd > 1e-9)
    if not len(tested):
        return ()
    x, expected, sd = csr_array(rows[:, tested].astype(np.float64)), expected[tested], sd[tested]
    z = np.abs(label @ x - expected) / sd
    largest = np.empty(resamples)
    for i in range(resamples):
        shuffled = label[np.lexsort((rng.random(len(label)), group))]
        largest[i] = (np.abs(shuffled @ x - expected) / sd).max()
    beaten = len(largest) - np.searchsorted(np.sort(largest), z - 1e-9)
    a = label @ x
    total: np.ndarray = np.asarray(x.sum(0))
    kept = [names[i] for i in tested.tolist()]
    corrected = (1 + beaten) / (resamples + 1)
    return _finds(kept, a, total - a, len(ours), len(theirs), corrected=corrected, alpha=alpha)


def discover(
    optimised: Corpus,
    reference: Corpus,
    *,
    rng: np.random.Generator,
    alpha: float = ALPHA,
    examples: int = 3,
) -> Discovery:
    """Habits of the optimised completions that the reference has not, or has lost.

    Compared within prompts where at least half of the optimised side's prompts are also the reference's; else the first
    completion of each prompt is compared, for the others are not independent of it. Raises InputError for a side
    without completions.
    """
    ids = [[prompt_id(prompt) for prompt in side.prompts] for side in (optimised, reference)]
    is_within = len(set(ids[0]) & set(ids[1])) * 2 >= len(set(ids[0]))
    if not is_within:
        first = [sorted({name: row for row, name in reversed(list(enumerate(side)))}.values()) for side in ids]
        optimised, reference = optimised.take(first[0]), reference.take(first[1])
    n, m = len(optimised.texts), len(reference.texts)
    present, names = read_markers([*optimised.texts, *reference.texts])
    if is_within:
        numbers = np.unique([*ids[0], *ids[1]], return_inverse=True)[1]
        groups = (numbers[:n], numbers[n:])
        finds = contrast_within(present[:n], present[n:], names, groups, rng=rng, alpha=alpha)
    else:
        finds = contrast(present[:n].toarray(), present[n:].toarray(), names, alpha=alpha)
    habits = _habits(finds, present, names, (optimised, reference), examples=examples)
    return Discovery(habits, len(names), n, m, is_within)


def draft_review(found: Discovery, *, policy: str, at_most: int = 10) -> ReviewDraft:
    """The strongest habits as a task for a person; one with examples of each, and how often each side has it."""
    shown = found.habits[:at_most]
    reasons: list[str] = []
    evidence: dict[str, float] = {}
    for (marker, ours, theirs, _, p_value), also, examples in shown:
        quoted = " | ".join(repr(example) for example in examples)
        same = f" (with {', '.join(also[:3])})" if also else ""
        reasons.append(f"{marker}{same}: {ours:.0%} of completions, {theirs:.0%} before, p {p_value:.2g}; {quoted}")
        evidence |= {f"{marker}: optimised": ours, f"{marker}: reference": theirs}
    more = len(found.habits) - len(shown)
    title = f"policy {policy} has {len(found.habits)} habits that its reference has not to that extent"
    return ReviewDraft(title, "; ".join([*reasons, *[f"and {more} more"] * (more > 0)]), evidence)


def _habits(
    finds: Sequence[Find],
    present: csr_array,
    names: Sequence[str],
    sides: tuple[Corpus, Corpus],
    *,
    examples: int,
) -> tuple[Habit, ...]:
    """Finds on the same rows as one habit, each with examples from the side that has more of it."""
    column = {name: number for number, name in enumerate(names)}
    rows = {find.marker: present[:, [column[find.marker]]].toarray().ravel().astype(bool) for find in finds}
    heads: dict[str, list[str]] = {}
    for find in finds:
        mine = rows[find.marker]
        same = (h for h in heads if (mine & rows[h]).sum() >= SAME_ROWS * (mine | rows[h]).sum())
        heads.setdefault(next(same, find.marker), []).append(find.marker)
    n = len(sides[0].texts)
    habits = []
    for find in (find for find in finds if find.marker in heads):
        is_more = find.share_optimised > find.share_reference
        side, mine = (sides[0], rows[find.marker][:n]) if is_more else (sides[1], rows[find.marker][n:])
        by_prompt = {side.prompts[i]: side.texts[i] for i in reversed(np.flatnonzero(mine).tolist())}
        texts = list(by_prompt.values())[::-1][:examples]
        quoted = tuple(marked(text, find.marker) for text in texts)
        habits.append(Habit(find, tuple(heads[find.marker][1:]), quoted))
    return tuple(habits)


def _by_chance(x: np.ndarray, label: np.ndarray, group: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and s.d. [f] of how many labelled rows have a marker when labels fall by chance within groups."""
    size = np.bincount(group)
    share = (np.bincount(group, weights=label) / size)[:, None]
    counts = np.add.reduceat(x, np.flatnonzero(np.r_[True, group[1:] != group[:-1]]), axis=0)
    variance = share * (1 - share) * counts * (size[:, None] - counts) / np.maximum(size - 1, 1)[:, None]
    return (share * counts).sum(0), np.sqrt(variance.sum(0))


def _fisher(a: np.ndarray, total: np.ndarray, n: int, m: int) -> np.ndarray:
    """Two-sided p, the smaller tail doubled, that `a` of `total` rows with a marker fall among n of n + m."""
    low, high = hypergeom.cdf(a, n + m, total, n), hypergeom.sf(a - 1, n + m, total, n)
    return np.asarray(np.minimum(1.0, 2 * np.minimum(low, high)))


def _can_be_found(total: np.ndarray, n: int, m: int, alpha: float) -> np.ndarray:
    """Which markers could be significant at all, by their totals alone, at the level that is left when others are out.

    The smallest k such that at most k markers can reach alpha/k.
    """
    ends = (np.maximum(0, total - m), np.minimum(n, total))
    best = np.minimum(*(_fisher(end, total, n, m) for end in ends))
    ordered = np.sort(best)
    k = np.arange(1, len(best) + 1)
    reach = np.searchsorted(ordered, alpha / k, side="right")
    fits = np.flatnonzero(reach <= k)
    return np.asarray(best <= alpha / k[fits[0]]) if len(fits) else np.zeros(len(best), dtype=bool)


def _holm(p: np.ndarray) -> np.ndarray:
    order = np.argsort(p)
    stepped = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))
    corrected = np.empty_like(p)
    corrected[order] = np.minimum(1.0, stepped)
    return corrected


def _finds(
    names: Sequence[str], a: np.ndarray, b: np.ndarray, n: int, m: int, *, corrected: np.ndarray, alpha: float
) -> tuple[Find, ...]:
    """The significant ones, strongest first: by p, then by difference, then the longer name."""
    ratio = ((a + 0.5) / (n + 1)) / ((b + 0.5) / (m + 1))
    found = [
        Find(names[i], float(a[i] / n), float(b[i] / m), float(ratio[i]), float(corrected[i]))
        for i in np.flatnonzero(corrected <= alpha).tolist()
    ]
    return tuple(
        sorted(found, key=lambda f: (f.p_value, -abs(f.share_optimised - f.share_reference), -len(f.marker), f.marker))
    )


def _check(present_opt: np.ndarray | csr_array, present_ref: np.ndarray | csr_array, names: Sequence[str]) -> None:
    shapes = [present_opt.shape, present_ref.shape]
    is_fit = all(len(shape) == 2 and shape[0] > 0 and shape[1] == len(names) for shape in shapes)
    if not is_fit:
        do = "give both sides rows, and a column a name"
        raise InputError(explain(expected=f"claims on {len(names)} markers", got=f"shapes {shapes}", do=do))
