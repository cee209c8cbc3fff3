"""Rater: a judge of pairs, and how one is heard. Takes pairs of completions, yields verdicts and reports.

A rater is always asked in both orders. Where the orders disagree the verdict is a tie and counts as an order flip.
"""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from assay.evaluation.statistics import Floats, length_adjusted_win_rate, proportion, win_rate
from assay.evaluation.surface import words
from assay.records.conversation import last_user_text
from assay.records.errors import InputError, explain
from assay.records.evidence import Estimate, RaterReport
from assay.records.identity import ScorerIdentity
from assay.records.judgement import Judgement
from assay.records.preference import Preference

TIE_BAND = 0.02
"""A probability this close to one half is a tie."""


class Rater(Protocol):
    """A judge of pairs, with its honest limits."""

    @property
    def name(self) -> str:
        """Short name, for people and metric names."""

    @property
    def identity(self) -> ScorerIdentity:
        """Identity by content, for the firewall."""

    @property
    def catches(self) -> tuple[str, ...]:
        """What this rater sees."""

    @property
    def does_not_catch(self) -> tuple[str, ...]:
        """What goes past it."""

    def compare(self, prompts: Sequence[str], first: Sequence[str], second: Sequence[str]) -> Floats:
        """Probability that `first` is better, in [0, 1], shape [n]; one half is a tie."""


class Pairs(NamedTuple):
    """Prompt texts with the policy's and the reference's completion of each."""

    prompts: Sequence[str]
    policy: Sequence[str]
    reference: Sequence[str]


class Hearing(NamedTuple):
    """What one rater said of all pairs: verdicts [n] of 1 (policy), 0 (reference) or 1/2, and which flipped."""

    rater: Rater
    verdicts: Floats
    flipped: NDArray[np.bool_]


def hear(rater: Rater, pairs: Pairs) -> Hearing:
    """Ask a rater about all pairs in both orders. Raises InputError when the columns differ in length or are empty."""
    check_pairs(pairs)
    forward = _sided(rater.compare(pairs.prompts, pairs.policy, pairs.reference))
    backward = 1.0 - _sided(rater.compare(pairs.prompts, pairs.reference, pairs.policy))
    flipped = forward != backward
    return Hearing(rater, np.where(flipped, 0.5, forward), flipped)


def judge_pairs(
    raters: Sequence[Rater],
    prompts: Sequence[str],
    policy_texts: Sequence[str],
    reference_texts: Sequence[str],
    *,
    held_out: Sequence[Preference | Judgement] = (),
) -> list[RaterReport]:
    """One report a rater; with `held_out` human words, also its accuracy on those it was not fitted on."""
    pairs = Pairs(prompts, policy_texts, reference_texts)
    return [report(hear(rater, pairs), pairs, held_out=held_out) for rater in raters]


def report(hearing: Hearing, pairs: Pairs, *, held_out: Sequence[Preference | Judgement] = ()) -> RaterReport:
    """Sum up one hearing: wins, losses, ties, raw and length-adjusted win rate, order flips, agreement with people."""
    verdicts = hearing.verdicts
    return RaterReport(
        identity=hearing.rater.identity,
        wins=int((verdicts == 1).sum()),
        losses=int((verdicts == 0).sum()),
        ties=int((verdicts == 0.5).sum()),
        win_rate=win_rate(verdicts),
        adjusted_win_rate=adjusted_win_rate(verdicts, pairs),
        order_flips=float(hearing.flipped.mean()),
        human_agreement=human_agreement(hearing.rater, held_out),
    )


def adjusted_win_rate(verdicts: Floats, pairs: Pairs) -> Estimate:
    """Win rate of the policy at equal length in words."""
    policy, reference = ([len(words(text)) for text in texts] for texts in (pairs.policy, pairs.reference))
    return length_adjusted_win_rate(verdicts, policy, reference)


def human_agreement(rater: Rater, held_out: Sequence[Preference | Judgement]) -> Estimate | None:
    """Accuracy on decided human words, ties of the rater counting half; rows that it was fitted on are left out.

    None where nothing is left. One that answers at random has one half.
    """
    fitted = set(rater.identity.rows)
    rows = [row for one in held_out if (row := _decided(one)) is not None and not fitted & set(row.judgements)]
    if not rows:
        return None
    hearing = hear(rater, Pairs(*zip(*((row.prompt, row.chosen, row.rejected) for row in rows), strict=True)))
    return proportion(float(hearing.verdicts.sum()), len(rows))


def check_pairs(pairs: Pairs) -> None:
    """Raises InputError when the columns differ in length or hold nothing."""
    sizes = {len(pairs.prompts), len(pairs.policy), len(pairs.reference)}
    if len(sizes) != 1 or sizes == {0}:
        got = f"{len(pairs.prompts)} prompts, {len(pairs.policy)} and {len(pairs.reference)} completions"
        todo = "generate one completion of the policy and of the reference for every held-out prompt"
        raise InputError(explain(expected="as many completions as prompts, at least one", got=got, do=todo))


class _Decided(NamedTuple):
    prompt: str
    chosen: str
    rejected: str
    judgements: tuple[str, ...]


def _decided(word: Preference | Judgement) -> _Decided | None:
    prompt = last_user_text(word.prompt)
    if isinstance(word, Preference):
        return _Decided(prompt, word.chosen, word.rejected, word.judgements)
    if word.choice == "first":
        return _Decided(prompt, word.first, word.second, (word.id,))
    if word.choice == "second":
        return _Decided(prompt, word.second, word.first, (word.id,))
    return None


def _sided(probabilities: Floats) -> Floats:
    distance = np.asarray(probabilities, dtype=np.float64) - 0.5
    return np.asarray(0.5 + 0.5 * np.sign(np.where(np.abs(distance) < TIE_BAND, 0.0, distance)), dtype=np.float64)
