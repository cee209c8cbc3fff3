"""Training: fits a reward ensemble to preferences and reports what it is worth on pairs it has not seen.

Pairs are split by prompt into a fitting fold and a calibration fold; each member sees a bootstrap of the fitting fold
(whole prompts are drawn, pairs of one prompt are not independent) through its own feature map. De-biasing (`debias`),
the price of lying outside the reference (`outliers`) and shaping (`shaping`) are choices, all off by default.
"""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

from assay.lm import LanguageModel
from assay.records.conversation import Prompt
from assay.records.errors import TrainingError, explain
from assay.records.preference import Preference
from assay.records.reward import RewardQuality
from assay.rewards.bradley_terry import Pairs
from assay.rewards.calibration import MemberMargins, fit_temperature, quality_report
from assay.rewards.completion_rows import CompletionRows, preference_pairs
from assay.rewards.debias.augmentation import augment
from assay.rewards.debias.bottleneck import fit_bottleneck
from assay.rewards.debias.fitting import SurfaceView, fit_debiased_head
from assay.rewards.debias.loess import fit_loess
from assay.rewards.debias.settings import DebiasSettings
from assay.rewards.debias.smoothing import harden
from assay.rewards.ensemble import LENGTH, Member, RewardEnsemble, Surface, surface_columns
from assay.rewards.feature_maps import Basis, Block, FittedMap, fit_map
from assay.rewards.features import Features, read_features
from assay.rewards.outliers import LATENT_VIEW, OutlierModel, fit_latent_outliers, fit_outliers
from assay.rewards.settings import RewardSettings, ShapingSettings
from assay.rewards.shaping import Shaping, spread_rows


class TrainedReward(NamedTuple):
    """A fitted ensemble, its held-out quality, each member's held-out accuracy, and how many pairs fitted it.

    `calibration_prompts` are the identities of the prompts that were held out of the fit.
    """

    ensemble: RewardEnsemble
    quality: RewardQuality
    member_accuracy: tuple[float, ...]
    fitted_pairs: int
    calibration_prompts: tuple[str, ...]


class _Table(NamedTuple):
    prompts: list[Prompt]
    completions: list[str]
    pairs: Pairs
    group: np.ndarray


class _Fold(NamedTuple):
    """What members are fitted on: features of all rows, pairs of rows, each pair's prompt; what maps are fitted on."""

    features: Features
    pairs: Pairs
    group: np.ndarray
    seen: Features


def train_reward(
    lm: LanguageModel,
    preferences: Sequence[Preference],
    settings: RewardSettings,
    *,
    seed: int,
    reference: Sequence[tuple[Prompt, str]] = (),
    cache: Path | None = None,
    progress: Callable[[int], object] | None = None,
) -> TrainedReward:
    """Fit an ensemble on preferences.

    `reference` completions (default: those judged), such as demonstrations and the reference policy's samples, set the
    scale, the outlier model, and what counts as going along with the surface. Raises TrainingError when there are fewer
    than eight preferences or fewer than four prompts.
    """
    table = _tabulate(preferences)
    groups = np.unique(table.group)
    if len(preferences) < 8 or len(groups) < 4:
        do = "collect more judgements, on more prompts"
        got = f"{len(preferences)} on {len(groups)}"
        raise TrainingError(explain(expected="at least 8 preferences on 4 prompts", got=got, do=do))
    depth = lm.causal.config.num_hidden_layers
    layers = tuple(max(1, min(depth, round(share * depth))) for share in settings.layers)
    read = partial(read_features, lm, layers=layers, cache=cache)
    features = read(table.prompts, table.completions, progress=progress)
    anchor = _anchor(table, features, reference, read) if reference else features
    rng = np.random.default_rng(seed)
    held_out = rng.permutation(groups)[: max(1, round(settings.calibration_share * len(groups)))]
    is_fitted = ~np.isin(table.group, held_out)
    fitted, calibration = table.pairs.take(np.flatnonzero(is_fitted)), table.pairs.take(np.flatnonzero(~is_fitted))
    seen = features.take(np.unique(np.concatenate([fitted.chosen, fitted.rejected])))
    fold = _Fold(features, _labelled(fitted, settings.debias), table.group[is_fitted], seen)
    extra_rng, latent_rng = rng.spawn(2)
    fold = _augmented(fold, table, settings.debias, read, extra_rng)
    known: dict[Block, Basis] = {}
    members = tuple(
        _fit_member(fit_map(name, seen, directions=settings.directions, known=known), fold, anchor, settings, rng)
        for name in settings.feature_maps
    )
    outliers = _fit_outliers(fold, anchor, settings, latent_rng)
    ensemble = RewardEnsemble(members, settings.aggregation, 1.0, outliers, layers, settings.outliers.weight)
    prompts = tuple(sorted({p.prompt_id for p, is_in in zip(preferences, is_fitted, strict=True) if not is_in}))
    trained = _calibrated(ensemble, features, calibration, table.completions)
    return trained._replace(
        ensemble=_shaped(trained.ensemble, anchor, settings.shaping),
        fitted_pairs=int(is_fitted.sum()),
        calibration_prompts=prompts,
    )


def _anchor(
    table: _Table, features: Features, reference: Sequence[tuple[Prompt, str]], read: Callable[..., Features]
) -> Features:
    """Features of the reference completions; those that were judged too are not read again."""
    known = {pair: i for i, pair in enumerate(zip(table.prompts, table.completions, strict=True))}
    new = [pair for pair in dict.fromkeys(reference) if pair not in known]
    every = features if not new else _stacked(features, read(*zip(*new, strict=True)))
    known |= {pair: len(known) + i for i, pair in enumerate(new)}
    return every.take([known[pair] for pair in reference])


def _stacked(one: Features, other: Features) -> Features:
    return Features(*(np.concatenate(both) for both in zip(one, other, strict=True)))


def _labelled(pairs: Pairs, settings: DebiasSettings) -> Pairs:
    """The pairs with the labels and margins that settings ask for; `_tabulate` left the margins in logits."""
    margin = settings.margin_scale * pairs.margin if settings.margin_scale > 0 else 0.0
    return (harden(pairs) if settings.labels == "hard" else pairs)._replace(margin=margin)


def _augmented(
    fold: _Fold, table: _Table, settings: DebiasSettings, read: Callable[..., Features], rng: np.random.Generator
) -> _Fold:
    """The fold with other prompts' completions under its prompts, where settings ask for any."""
    asked = settings.augmentation
    if asked.contrasts + asked.ties == 0:
        return fold
    rows = len(table.completions)
    new = augment(fold.pairs, fold.group, rows=rows, contrasts=asked.contrasts, ties=asked.ties, rng=rng)
    prompts = [table.prompts[i] for i in new.prompt_row]
    more = read(prompts, [table.completions[i] for i in new.completion_row])
    old = fold.pairs._replace(margin=np.broadcast_to(fold.pairs.margin, len(fold.group)))
    added = new.pairs._replace(margin=np.zeros(len(new.source)))
    pairs = Pairs(*(np.concatenate(both) for both in zip(old, added, strict=True)))
    group = np.concatenate([fold.group, fold.group[new.source]])
    return _Fold(_stacked(fold.features, more), pairs, group, fold.seen)


def _fit_member(
    view: FittedMap, fold: _Fold, anchor: Features, settings: RewardSettings, rng: np.random.Generator
) -> Member:
    groups = np.unique(fold.group)
    rows = [np.flatnonzero(fold.group == g) for g in rng.choice(groups, size=len(groups))]
    columns = settings.debias.surface

    def side(features: Features) -> SurfaceView:
        return SurfaceView(view.apply(features), surface_columns(features, columns), features.surface[:, LENGTH])

    head = fit_debiased_head(
        side(fold.features),
        fold.pairs.take(np.concatenate(rows)),
        side(anchor),
        settings.debias,
        ridge=settings.ridge,
        sum_to_zero=settings.sum_to_zero,
    )
    surface = None if head.residualiser is None else Surface(columns, head.residualiser)
    member = Member(view, head.theta, 0.0, 1.0, surface)
    if settings.debias.length_span > 0:
        span, lengths = settings.debias.length_span, anchor.surface[:, LENGTH]
        member = member._replace(curve=fit_loess(member.raw(anchor), lengths, span=span))
    raw = member.raw(anchor)
    return member._replace(shift=float(raw.mean()), scale=float(raw.std()) or 1.0)


def _fit_outliers(fold: _Fold, anchor: Features, settings: RewardSettings, rng: np.random.Generator) -> OutlierModel:
    asked = settings.outliers
    if asked.space == "states":
        return fit_outliers(anchor, directions=asked.directions, quantile=asked.quantile, shrinkage=asked.shrinkage)
    view = fit_map(LATENT_VIEW, fold.seen, directions=settings.directions)
    bottleneck = fit_bottleneck(
        view.apply(fold.features),
        fold.pairs,
        latent=asked.latent,
        heads=len(settings.feature_maps),
        beta=asked.beta,
        rng=rng,
    )
    return fit_latent_outliers(
        anchor,
        view,
        bottleneck.encoder,
        directions=asked.directions,
        quantile=asked.quantile,
        shrinkage=asked.shrinkage,
    )


def _shaped(ensemble: RewardEnsemble, anchor: Features, settings: ShapingSettings) -> RewardEnsemble:
    if settings.name == "none":
        return ensemble
    scores = ensemble.score(anchor)
    rows = spread_rows(scores.reward, settings.references)
    shaping = Shaping(settings.name, settings.slope, settings.limit)
    return ensemble._replace(shaping=shaping, anchor=scores.members[rows])


def _calibrated(
    ensemble: RewardEnsemble, features: Features, pairs: Pairs, completions: Sequence[str]
) -> TrainedReward:
    scores = ensemble.score(features)
    margins = scores.reward[pairs.chosen] - scores.reward[pairs.rejected]
    apart = scores.members[pairs.chosen] - scores.members[pairs.rejected]
    temperature = fit_temperature(margins, pairs.probability)
    rows = np.unique(np.concatenate([pairs.chosen, pairs.rejected]))
    lengths = np.array([len(completions[i]) for i in rows], dtype=np.float64)
    quality = quality_report(
        margins,
        pairs.probability,
        temperature=temperature,
        rewards=scores.reward[rows],
        lengths=lengths,
        members=MemberMargins(apart.mean(1), apart.std(1)),
    )
    accuracy = tuple(float(a) for a in (apart > 0).mean(0))
    return TrainedReward(ensemble._replace(temperature=temperature), quality, accuracy, 0, ())


def _tabulate(preferences: Sequence[Preference]) -> _Table:
    """Each distinct (prompt, completion) once, with pairs pointing at rows and a group number a prompt."""
    rows = CompletionRows()
    pairs = preference_pairs(rows, preferences)._replace(margin=np.array([p.margin for p in preferences]))
    return _Table(rows.prompts, rows.completions, pairs, np.array(rows.group, dtype=int)[pairs.chosen])
