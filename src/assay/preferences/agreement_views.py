"""Agreement views: how far people agree by pair, attribute, group and time, as alpha, kappa and percent.

Takes judgements; yields one row a view. Each view is computed on its own judgements alone; a number is None where its
view holds no pair that two people judged.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Literal, NamedTuple

import numpy as np

from assay.preferences.agreement import krippendorff_alpha, mean_kappa, one_per_person, percent_agreement
from assay.preferences.table import JudgementTable, pair_key, tabulate
from assay.records.errors import InputError, explain
from assay.records.judgement import Judgement

Period = Literal["day", "month", "year"]
FORMATS: Mapping[Period, str] = {"day": "%Y-%m-%d", "month": "%Y-%m", "year": "%Y"}


class AgreementView(NamedTuple):
    """Agreement within one view: Krippendorff's alpha, mean pairwise Cohen's kappa, share of equal answers."""

    name: str
    judgements: int
    pairs: int
    alpha: float | None
    kappa: float | None
    percent: float | None


def agreement_overall(judgements: Sequence[Judgement]) -> AgreementView:
    """Agreement of all on the overall choice. Raises InputError for judgements that cannot be tabulated."""
    return _view("all", tabulate(judgements))


def agreement_by_pair(judgements: Sequence[Judgement]) -> list[AgreementView]:
    """One view a pair, least percent first. One pair has no alpha of its own: the percent is what tells."""
    table = tabulate(judgements)
    keys = [pair_key(pair) for pair in table.pairs]
    views = [_view(keys[number], table, table.pair == number) for number in range(len(keys))]
    return sorted(views, key=lambda view: (2.0 if view.percent is None else view.percent, view.name))


def agreement_by_attribute(judgements: Sequence[Judgement]) -> list[AgreementView]:
    """One view an attribute that anybody answered, by name."""
    names = sorted({name for judgement in judgements for name in judgement.attributes})
    return [_view(name, tabulate(on_attribute(judgements, name))) for name in names]


def agreement_by_group(judgements: Sequence[Judgement], group_of: Mapping[str, str]) -> list[AgreementView]:
    """Agreement inside each group of annotators; people without a group are left out."""
    return _by(judgements, lambda judgement: group_of.get(judgement.annotator))


def agreement_by_profile(judgements: Sequence[Judgement]) -> list[AgreementView]:
    """Agreement among the judgements given under each version of people's settings, and under `none`."""
    return _by(judgements, lambda judgement: judgement.profile or "none")


def agreement_by_time(judgements: Sequence[Judgement], *, period: Period = "month") -> list[AgreementView]:
    """Agreement among the judgements of each day, month or year (UTC)."""
    return _by(judgements, lambda judgement: judgement.created_at.strftime(FORMATS[period]))


def on_attribute(judgements: Sequence[Judgement], attribute: str) -> list[Judgement]:
    """The judgements with their answer on one attribute as their choice; those without one are left out.

    For views only: the copies have identities of their own, which no store knows. Raises InputError when nobody
    answered.
    """
    superseded = {judgement.supersedes for judgement in judgements}
    standing = [j for j in judgements if attribute in j.attributes and j.id not in superseded]
    if not standing:
        known = sorted({name for judgement in judgements for name in judgement.attributes})
        got = f"answers on {', '.join(known)}" if known else "no attribute answered"
        do = "name an attribute that people were asked about"
        raise InputError(explain(expected=f"answers on {attribute!r}", got=got, do=do))
    return [j.model_copy(update={"choice": j.attributes[attribute], "supersedes": None}) for j in standing]


def _by(judgements: Sequence[Judgement], name_of: Callable[[Judgement], str | None]) -> list[AgreementView]:
    table = tabulate(judgements)
    rows: dict[str, list[int]] = defaultdict(list)
    for row, judgement in enumerate(table.judgements):
        name = name_of(judgement)
        if name is not None:
            rows[name].append(row)
    return [_view(name, table, np.array(rows[name])) for name in sorted(rows)]


def _view(name: str, table: JudgementTable, chosen: np.ndarray | None = None) -> AgreementView:
    every = np.arange(len(table.pair)) if chosen is None else np.arange(len(table.pair))[chosen]
    rows = one_per_person(table, every)
    units, labels = table.pair[rows], table.outcome[rows]
    return AgreementView(
        name=name,
        judgements=len(every),
        pairs=len(np.unique(units)),
        alpha=krippendorff_alpha(units, labels),
        kappa=mean_kappa(units, labels, table.annotator[rows]),
        percent=percent_agreement(units, labels),
    )
