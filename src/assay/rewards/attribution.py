"""Attribution: which words of a completion earn its reward. Takes a reward and one completion, yields a value a piece.

`occlude` takes pieces out (or puts a filler in their place) and works for any reward. `integrated_gradients` follows
the gradient of a head on frozen states through the language model to the completion's embeddings (Sundararajan et al.
2017, arXiv 1703.01365). Both say how far their values are from adding up: `gap` is what the pieces together do not
explain, and a large one means that the values must not be read as shares.

Catches: words that a reward hangs on. Does not catch: pieces that count only together (each alone shows little, and the
gap is large), and what the prompt contributes.
"""

import re
from collections.abc import Callable, Sequence
from html import escape
from typing import NamedTuple

import numpy as np
import torch

from assay.lm import LanguageModel, encode_pair, using_adapter
from assay.lm.hidden import layer_states
from assay.records.conversation import Prompt
from assay.records.errors import InputError, explain
from assay.rewards.calibrated_heads import CalibratedHeads
from assay.rewards.ensemble import RewardEnsemble
from assay.rewards.features import SURFACE_NAMES, Features
from assay.rewards.protocol import Score, StoredReward

ENOUGH_STEPS = 32
STEP_ROWS = 8
"""Points of the path in one batch."""
FILLER = " ."
"""The path starts at this text's first token: an ordinary one, for which the path is smooth.

From zero, mean or end-of-turn embeddings 32 points leave many times the gap: no text looks like that.
"""


class Attribution(NamedTuple):
    """`values` [pieces] in reward units, of `pieces` that read together as the completion.

    `reward` is the completion's, `baseline` that of a completion with nothing in it, `gap` = reward - baseline -
    sum(values).
    """

    pieces: tuple[str, ...]
    values: np.ndarray
    reward: float
    baseline: float
    gap: float
    method: str

    @property
    def relative_gap(self) -> float:
        """The gap as a share of all that moved, |gap| / (|reward - baseline| + sum |values|), in [0, 1]; 0 is exact."""
        moved = abs(self.reward - self.baseline) + float(np.abs(self.values).sum())
        return abs(self.gap) / moved if moved > 0 else 0.0


class StateHead(NamedTuple):
    """An affine reward on frozen states: weights [layers, width] for mean and last states, a constant, the layers."""

    mean: np.ndarray
    last: np.ndarray
    constant: float
    layers: tuple[int, ...]


def split_pieces(text: str, *, words: int = 1) -> tuple[str, ...]:
    """Pieces of `words` words each, white space before a word going with it; joined they are the text."""
    found = re.findall(r"\s*\S+|\s+\Z", text)
    return tuple("".join(found[start : start + words]) for start in range(0, len(found), words))


def occlude(score: Score, prompt: Prompt, completion: str, *, words: int = 1, filler: str | None = None) -> Attribution:
    """What the reward loses when each piece of `words` words is taken out, or becomes `filler`, the others in place.

    Scores pieces + 2 completions in one call. The baseline is the empty completion, or the one of fillers alone.
    """
    pieces = split_pieces(completion, words=words)
    if not pieces:
        raise InputError(explain(expected="a completion with words", got=repr(completion), do="give one"))
    blanks = ["" if filler is None else re.sub(r"\S+", lambda _: filler, piece) for piece in pieces]
    without = ["".join([*pieces[:i], blank, *pieces[i + 1 :]]) for i, blank in enumerate(blanks)]
    texts = [completion, "".join(blanks), *without]
    rewards = np.asarray(score([prompt] * len(texts), texts), dtype=np.float64)
    reward, baseline = float(rewards[0]), float(rewards[1])
    values = reward - rewards[2:]
    gap = reward - baseline - float(values.sum())
    return Attribution(pieces, values, reward, baseline, gap, "occlusion")


def state_head(reward: StoredReward, *, width: int) -> StateHead:
    """A reward as one affine head on states of this width, an ensemble by its members' mean; text surface counts not.

    Read off by scoring unit states, so it holds for any reward that is affine in the states; raises InputError for
    others, such as the worst-off of several groups or tuned weights.
    """
    do = "use occlusion, which asks nothing of the head"
    if isinstance(reward, RewardEnsemble):
        heads = [member.score for member in reward.members]
    elif isinstance(reward, CalibratedHeads):
        heads = [lambda features: reward.score(features).reward]
    else:
        got = f"a reward of the kind {reward.kind}"
        raise InputError(explain(expected="a head on frozen states", got=got, do=do))
    layers = len(reward.layers)
    size = layers * width
    units = np.concatenate([np.zeros((1, 2 * size)), np.eye(2 * size), np.full((1, 2 * size), 0.5)])
    states = units.reshape(-1, 2, layers, width)
    features = Features(states[:, 0], states[:, 1], np.zeros((len(states), len(SURFACE_NAMES))))
    rewards = np.mean([head(features) for head in heads], axis=0)
    constant, weights = float(rewards[0]), rewards[1:-1] - rewards[0]
    if not np.isclose(rewards[-1], constant + 0.5 * weights.sum(), atol=1e-6 * (1 + np.abs(weights).sum())):
        raise InputError(explain(expected="a head that is linear in the states", got="another", do=do))
    mean, last = weights.reshape(2, layers, width)
    return StateHead(mean, last, constant, reward.layers)


def integrated_gradients(
    lm: LanguageModel, prompt: Prompt, completion: str, head: StateHead, *, steps: int = ENOUGH_STEPS
) -> Attribution:
    """The path integral of the gradient from a completion of FILLER tokens to the real one, a token a piece.

    Prompt and closing token stay as they are. `steps` points by Gauss-Legendre; the model should be in float32, for the
    gap of a rounded one is larger. Raises InputError for a completion without tokens.
    """
    pair = encode_pair(lm, prompt, completion)
    start, end = len(pair.prompt), len(pair.prompt) + len(pair.completion)
    if end - start < 2:
        raise InputError(explain(expected="a completion with words", got=repr(completion), do="give one"))
    with using_adapter(lm, None):
        table = lm.body.get_input_embeddings()
        real = table(torch.tensor([[*pair.prompt, *pair.completion]])).detach()
        empty = real.clone()
        filler = lm.tokenizer(FILLER, add_special_tokens=False)["input_ids"][0]
        empty[:, start : end - 1] = table(torch.tensor([filler])).detach()

        def rewards(embedded: torch.Tensor) -> torch.Tensor:
            return _head_rewards(lm, embedded, head, start)

        total, ends = _path_gradient(rewards, real, empty, steps)
    by_token = ((real - empty)[0] * total).sum(1)[start : end - 1].double().numpy()
    pieces, values = _readable(lm, pair.completion[:-1], by_token)
    gap = ends[0] - ends[1] - float(values.sum())
    return Attribution(pieces, values, ends[0], ends[1], gap, f"integrated gradients, {steps} steps")


def _path_gradient(
    rewards: Callable[[torch.Tensor], torch.Tensor], real: torch.Tensor, empty: torch.Tensor, steps: int
) -> tuple[torch.Tensor, tuple[float, float]]:
    """Mean gradient [length, width] along the straight path, and the rewards at its real and its empty end."""
    points, weights = np.polynomial.legendre.leggauss(steps)
    total = torch.zeros_like(real[0])
    for first in range(0, steps, STEP_ROWS):
        share = torch.tensor((points[first : first + STEP_ROWS] + 1) / 2, dtype=real.dtype)[:, None, None]
        weight = torch.tensor(weights[first : first + STEP_ROWS] / 2, dtype=real.dtype)[:, None, None]
        embedded = (empty + share * (real - empty)).requires_grad_(True)
        (gradient,) = torch.autograd.grad(rewards(embedded).sum(), embedded)
        total += (weight * gradient).sum(0)
    with torch.no_grad():
        at_ends = rewards(torch.cat([real, empty]))
    return total, (float(at_ends[0]), float(at_ends[1]))


def _head_rewards(lm: LanguageModel, embedded: torch.Tensor, head: StateHead, start: int) -> torch.Tensor:
    """Rewards [rows] of embedded conversations [rows, length, width] whose completion begins at `start`."""
    reward = torch.full((len(embedded),), head.constant, dtype=torch.float64)
    weights = zip(
        layer_states(lm, head.layers, inputs_embeds=embedded),
        torch.tensor(head.mean),
        torch.tensor(head.last),
        strict=True,
    )
    for state, mean, last in weights:
        completion = state[:, start:].double()
        reward = reward + completion.mean(1) @ mean + completion[:, -1] @ last
    return reward


def _readable(lm: LanguageModel, ids: Sequence[int], values: np.ndarray) -> tuple[tuple[str, ...], np.ndarray]:
    """Tokens as text; tokens that only together make a character become one piece, with the sum of their values."""
    pieces: list[str] = []
    sums: list[float] = []
    waiting: list[int] = []
    worth = 0.0
    for number, (token, value) in enumerate(zip(ids, values.tolist(), strict=True), start=1):
        waiting, worth = [*waiting, token], worth + value
        text = lm.tokenizer.decode(waiting)
        if "\ufffd" not in text or number == len(ids):
            pieces.append(text)
            sums.append(worth)
            waiting, worth = [], 0.0
    return tuple(pieces), np.array(sums)


def attribution_page(prompt: str, found: Attribution) -> str:
    """A page of its own (HTML, no script, no network): each piece on blue where it earns, on orange where it costs."""
    largest = float(np.abs(found.values).max()) or 1.0
    spans = []
    for piece, value in zip(found.pieces, found.values.tolist(), strict=True):
        hue, share = ("37 99 235", value / largest) if value >= 0 else ("234 88 12", -value / largest)
        style = f"background:rgb({hue} / {0.65 * share:.2f})"
        spans.append(f'<span style="{style}" title="{value:+.4f}">{escape(piece)}</span>')
    note = (
        f"{escape(found.method)}: reward {found.reward:+.3f}, with nothing in it {found.baseline:+.3f}; "
        f"the pieces leave {found.gap:+.3f} unexplained ({found.relative_gap:.0%} of all that moved)."
    )
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8"><title>Attribution</title>'
        "<style>:root{color-scheme:light dark}body{font:1rem/1.7 system-ui;max-width:46rem;margin:2rem auto;"
        "padding:0 1rem}p{white-space:pre-wrap}span{border-radius:.2em}</style>"
        f"<h1>What earns the reward</h1><h2>Prompt</h2><p>{escape(prompt)}</p><h2>Completion</h2>"
        f"<p>{''.join(spans)}</p><p>{note}</p><p><span style='background:rgb(37 99 235 / .65)'>earns</span> "
        "<span style='background:rgb(234 88 12 / .65)'>costs</span>; the number is behind each piece.</p></html>\n"
    )
