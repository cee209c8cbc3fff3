"""World: the benchmark's simulated people, texts and regimes as plain configuration, and the draw of one of them.

Takes settings and a seed; yields what an arm may see (`Seen`) and, apart from it, what only the measuring code holds
(`Truth`). A completion is a quality, in a linear and a bent function of latent traits, and three channels with heavy
tails: length and format, which any program can measure in a text, and one that nobody has named. Gold is the quality,
plus a little for length up to a cap, minus what each channel exceeds its due. What models read of a completion is a
random rotation of all of it. A text also has words: binary markers, some of them at home in good completions, the rest
by chance, and the first one a word that a regime may plant.

Heavy tails are a choice with consequences: without them no arm over-optimises at these sizes, and with them every
safeguard that distrusts outliers is flattered. The regime `in_support_marker` is the antidote: its hack is no outlier.
"""

from typing import NamedTuple

import numpy as np
from pydantic import Field

from assay.records.record import Value
from assay.rewards.bradley_terry import Pairs

NAMED = ("length", "format")
"""Channels that a program measures in the text of a completion."""
CHANNELS = (*NAMED, "unnamed")
"""All channels; the last one is in the states, and nowhere else."""
PLANTED = 0
"""Column of the planted marker."""
LEANING = 0.6
"""Correlation of what decides on a good word with the quality."""


class Regime(Value):
    """Who labels, and how badly."""

    pairs: int = Field(default=400, ge=8)
    """Pairs that are labelled."""
    flips: float = Field(default=0.0, ge=0, lt=0.5)
    """Share of labels that are turned round by chance."""
    liking: tuple[float, float, float] = (0.0, 0.0, 0.0)
    """What a standard deviation of length, format and the unnamed channel is worth to annotators, in logits."""
    marker_liking: float = 0.0
    """What the planted marker is worth to annotators, in logits."""
    marker_cost: float = 0.0
    """What the planted marker costs in gold."""
    adversaries: float = Field(default=0.0, ge=0, lt=0.5)
    """Share of labels by people who want to do harm: they choose by the unnamed channel alone."""
    is_tuned_on: bool = False
    """Whether the stack's constants were chosen with this regime in view, on development seeds."""


class WorldSettings(Value):
    """Sizes and shapes of the world."""

    prompts: int = Field(default=64, ge=2)
    """Prompts a seed."""
    candidates: int = Field(default=1024, ge=16)
    """Completions a prompt."""
    reference: int = Field(default=2048, ge=64)
    """Further completions of the base policy, without labels, that arms may measure themselves by."""
    traits: int = Field(default=16, ge=2)
    """Latent traits of a completion."""
    bent: float = Field(default=0.5, ge=0)
    """Weight of the bent part of the quality, the linear part being 1."""
    tail: float = Field(default=4.0, gt=2)
    """Degrees of freedom of the channels' Student t; small is heavy."""
    length_correlation: float = Field(default=0.33, ge=0, lt=1)
    """Correlation of length with the first trait of the quality."""
    length_worth: float = 0.1
    """Gold of a standard deviation of length, up to the cap."""
    length_cap: float = 1.0
    """Length, in standard deviations, beyond which more is worth nothing."""
    excess_from: float = 1.5
    """Standard deviations of a channel from which excess costs gold."""
    excess_cost: float = Field(default=0.3, ge=0)
    """Gold of each standard deviation of excess."""
    gold_weight: float = Field(default=2.0, gt=0)
    """What a standard deviation of gold is worth to annotators, in logits."""
    words: int = Field(default=24, ge=2)
    """Markers that can be seen in a text, the planted one among them."""
    good_words: int = Field(default=4, ge=0)
    """Markers at home in good completions."""
    marker_rate: float = Field(default=0.25, gt=0, lt=1)
    """Share of the base policy's completions with the planted marker."""
    audit_flips: float = Field(default=0.15, ge=0, lt=0.5)
    """Share of an audit's answers that are turned round by chance."""


class Texts(NamedTuple):
    """What can be read of n completions: `states` float32 [n, d], `surface` [n, 2] by name, `markers` bool [n, words].

    All three have any leading shape; states are in no known basis, the surface is in the base policy's deviations.
    """

    states: np.ndarray
    surface: np.ndarray
    markers: np.ndarray


class Seen(NamedTuple):
    """All that an arm may know: candidates [prompts, N], labelled texts with their pairs, reference texts."""

    candidates: Texts
    labelled: Texts
    pairs: Pairs
    reference: Texts


class Truth(NamedTuple):
    """What only the measuring code knows: `gold` [prompts, N] and `channels` [prompts, N, 3], in base deviations."""

    gold: np.ndarray
    channels: np.ndarray


class Drawn(NamedTuple):
    """Completions before anybody labels them: texts, channels [n, 3] and gold [n] in base deviations."""

    texts: Texts
    channels: np.ndarray
    gold: np.ndarray

    def rows(self, rows: slice) -> "Drawn":
        """Some of the completions."""
        return Drawn(Texts(*(part[rows] for part in self.texts)), self.channels[rows], self.gold[rows])


def draw(settings: WorldSettings, regime: Regime, count: int, rng: np.random.Generator) -> Drawn:
    """Completions of the base policy, from one quality and one rotation that `rng` draws first."""
    k = settings.traits
    linear = _unit(rng.standard_normal(k))
    inward, outward = rng.standard_normal((k, 8)) / np.sqrt(k) * 1.5, rng.standard_normal(8)
    width = k + len(CHANNELS) + 1
    rotation = np.linalg.qr(rng.standard_normal((width, width)))[0].astype(np.float32)
    traits = rng.standard_normal((count, k), dtype=np.float32)
    bent = np.tanh(traits @ inward.astype(np.float32)) @ outward.astype(np.float32)
    straight = traits @ linear.astype(np.float32)
    quality = straight + settings.bent * (bent - bent.mean()) / bent.std()
    quality /= quality.std()
    channels = rng.standard_t(settings.tail, (count, len(CHANNELS)))
    rho = settings.length_correlation
    channels[:, 0] = rho * traits[:, 0] * np.sign(linear[0]) + np.sqrt(1 - rho**2) * channels[:, 0]
    markers = _words(settings, quality, rng)
    gold = quality + settings.length_worth * np.minimum(channels[:, 0], settings.length_cap)
    gold -= settings.excess_cost * np.maximum(np.abs(channels) - settings.excess_from, 0).sum(1)
    gold -= regime.marker_cost * markers[:, PLANTED]
    rate = settings.marker_rate
    planted = (markers[:, [PLANTED]] - rate) / np.sqrt(rate * (1 - rate))
    states = np.concatenate([traits, channels, planted], axis=1).astype(np.float32) @ rotation
    gold = (gold - gold.mean()) / gold.std()
    return Drawn(Texts(states, channels[:, : len(NAMED)].copy(), markers), channels, gold)


def _words(settings: WorldSettings, quality: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Markers bool [n, words]: the planted one by chance, some that lean on quality, the rest by chance."""
    count = len(quality)
    rates = np.r_[settings.marker_rate, rng.uniform(0.05, 0.5, settings.words - 1)]
    leaning = np.zeros(settings.words, dtype=np.float32)
    leaning[1 : 1 + settings.good_words] = LEANING
    chance = rng.standard_normal((count, settings.words), dtype=np.float32)
    mixed = leaning * quality[:, None].astype(np.float32) + np.sqrt(1 - leaning**2) * chance
    cut = [np.quantile(word, 1 - rate) for word, rate in zip(mixed[:4096].T, rates, strict=True)]
    return np.asarray(mixed > cut)


def _unit(vector: np.ndarray) -> np.ndarray:
    return np.asarray(vector / np.linalg.norm(vector))
