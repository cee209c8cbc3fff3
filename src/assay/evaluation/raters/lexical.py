"""Lexical rater: a preference model on hashed words, characters and style. Takes held-out preferences, yields chances.

P(first better) = sigmoid(w . (x_first - x_second) / T): w by L2-penalised logistic regression on the preferences, T
from five-fold cross-fitting, so that its confidence is what it earned on pairs it had not seen. No intercept, so it
cannot prefer a side. It shares neither backbone nor rows with a reward that looks at hidden states: its errors are its
own.

Catches: wording, formatting and style that the people of its fold liked or disliked.
Does not catch: meaning. It can be gamed by the right words, and it inherits its people's taste for length.
"""

import zlib
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize, minimize_scalar
from scipy.sparse import csr_array, vstack
from scipy.special import expit

from assay.evaluation import surface
from assay.evaluation.statistics import Floats
from assay.records.conversation import last_user_text
from assay.records.errors import InputError, explain
from assay.records.identity import ScorerIdentity
from assay.records.preference import Preference
from assay.records.record import digest

BUCKETS = 4096
STYLE = 8
WIDTH = BUCKETS + STYLE
FOLDS = 5


class LexicalRater:
    """A fitted lexical preference model; make one with `fit_lexical`."""

    name = "lexical"
    catches: tuple[str, ...] = ("wording and format that its people liked or disliked", "repetition", "flattery")
    does_not_catch: tuple[str, ...] = ("meaning", "false statements", "its own people's taste for length")

    def __init__(self, weights: Floats, temperature: float, *, l2: float, rows: Sequence[str]) -> None:
        self.weights, self.temperature = weights, temperature
        content = {
            "rater": "lexical-1",
            "weights": [f"{weight:.6e}" for weight in weights],
            "temperature": f"{temperature:.6e}",
            "l2": l2,
            "rows": sorted(rows),
        }
        self.identity = ScorerIdentity(
            name=self.name, scorer_kind="judge", content_hash=digest(content), rows=tuple(sorted(rows))
        )

    def compare(self, prompts: Sequence[str], first: Sequence[str], second: Sequence[str]) -> Floats:
        """Probability that `first` is better, shape [n]."""
        difference = features(prompts, first) - features(prompts, second)
        return np.asarray(expit(difference @ self.weights / self.temperature), dtype=np.float64)


def fit_lexical(preferences: Sequence[Preference], *, l2: float = 1.0, seed: int = 0) -> LexicalRater:
    """Fit on held-out preferences. Raises InputError with fewer than twenty.

    `l2` is the penalty on w; `seed` shuffles the folds that set the temperature.
    """
    if len(preferences) < 4 * FOLDS:
        todo = "collect more held-out judgements, or leave this rater out"
        raise InputError(explain(expected=f"at least {4 * FOLDS} preferences", got=str(len(preferences)), do=todo))
    prompts = [last_user_text(one.prompt) for one in preferences]
    data = _Rows(
        features(prompts, [one.chosen for one in preferences])
        - features(prompts, [one.rejected for one in preferences]),
        np.array([one.probability for one in preferences]),
        np.array([one.weight for one in preferences]),
    )
    temperature = _cross_fitted_temperature(data, prompts, l2=l2, rng=np.random.default_rng(seed))
    rows = {row for one in preferences for row in one.judgements}
    return LexicalRater(_fit(data, l2), temperature, l2=l2, rows=sorted(rows))


def features(prompts: Sequence[str], completions: Sequence[str]) -> csr_array:
    """Hashed unigrams, bigrams and character 4-grams (square-root counts, unit length) and style, sparse [n, WIDTH]."""
    return csr_array(vstack([_row(*pair) for pair in zip(prompts, completions, strict=True)], format="csr"))


class _Rows(NamedTuple):
    """Feature differences chosen - rejected [n, WIDTH], target probabilities [n], weights [n]."""

    differences: csr_array
    targets: Floats
    weights: Floats

    def pick(self, index: NDArray[np.intp]) -> "_Rows":
        return _Rows(csr_array(self.differences[index]), self.targets[index], self.weights[index])


def _row(prompt: str, completion: str) -> csr_array:
    tokens = surface.words(completion)
    counts: dict[int, float] = {}
    for gram in _grams(tokens, completion):
        bucket = zlib.crc32(gram.encode("utf-8", "surrogatepass")) % BUCKETS
        counts[bucket] = counts.get(bucket, 0.0) + 1.0
    values = np.sqrt(np.fromiter(counts.values(), dtype=np.float64, count=len(counts)))
    values /= max(float(np.linalg.norm(values)), 1e-12)
    style = _style(prompt, completion, tokens)
    data = np.concatenate([values, style])
    columns = np.concatenate([np.fromiter(counts, dtype=np.intp, count=len(counts)), BUCKETS + np.arange(STYLE)])
    return csr_array((data, (np.zeros(len(data), dtype=np.intp), columns)), shape=(1, WIDTH))


def _grams(tokens: Sequence[str], text: str) -> Iterable[str]:
    lowered = " ".join(text.lower().split())
    yield from (f"w {token}" for token in tokens)
    yield from (f"b {one} {two}" for one, two in zip(tokens, tokens[1:], strict=False))
    yield from (f"c {lowered[start : start + 4]}" for start in range(len(lowered) - 3))


def _style(prompt: str, completion: str, tokens: Sequence[str]) -> Floats:
    asked = set(surface.words(prompt))
    return np.array(
        [
            np.log1p(len(tokens)) / 4.0,
            float(surface.ends_sentence(completion)),
            float(surface.is_cut_off(completion)),
            surface.repeated_share(tokens),
            1.0 - 0.5 ** surface.filler_count(completion),
            min(1.0, surface.list_lines(completion) / 5.0),
            float(surface.is_refusal(completion)),
            len(asked & set(tokens)) / max(1, len(asked)),
        ]
    )


def _fit(rows: _Rows, l2: float) -> Floats:
    def loss(weights: Floats) -> tuple[float, Floats]:
        logits = rows.differences @ weights
        value = rows.weights @ (np.logaddexp(0.0, logits) - rows.targets * logits) + 0.5 * l2 * weights @ weights
        gradient = rows.differences.T @ (rows.weights * (expit(logits) - rows.targets)) + l2 * weights
        return float(value), np.asarray(gradient, dtype=np.float64)

    result = minimize(loss, np.zeros(WIDTH), jac=True, method="L-BFGS-B", options={"maxiter": 500})
    return np.asarray(result.x, dtype=np.float64)


def _cross_fitted_temperature(rows: _Rows, prompts: Sequence[str], *, l2: float, rng: np.random.Generator) -> float:
    """The temperature that minimises the loss of logits from folds that had not seen the pair, nor its prompt."""
    names = sorted(set(prompts))
    fold_of = dict(zip(names, rng.permutation(len(names)) % FOLDS, strict=True))
    folds = np.array([fold_of[prompt] for prompt in prompts])
    logits = np.zeros(len(prompts))
    for fold in range(FOLDS):
        inside, outside = np.flatnonzero(folds == fold), np.flatnonzero(folds != fold)
        if inside.size and outside.size:
            logits[inside] = rows.pick(inside).differences @ _fit(rows.pick(outside), l2)

    def loss(log_temperature: float) -> float:
        scaled = logits / np.exp(log_temperature)
        return float(rows.weights @ (np.logaddexp(0.0, scaled) - rows.targets * scaled))

    return float(np.exp(minimize_scalar(loss, bounds=(-3.0, 3.0), method="bounded").x))
