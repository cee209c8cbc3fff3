"""Registry: the aggregators by name, and the one step from stored judgements to stored preferences."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from types import MappingProxyType

import numpy as np

from assay.preferences.aggregation import Aggregation, Aggregator, restated
from assay.preferences.crowd_bt import aggregate_by_crowd_bt
from assay.preferences.dawid_skene import aggregate_by_dawid_skene
from assay.preferences.drift import expectation_drift
from assay.preferences.joint import aggregate_jointly, aggregate_without_inversion, aggregate_without_surface
from assay.preferences.majority import aggregate_by_majority
from assay.preferences.minority import MinorityViews, Traits, minority_views, with_both_views
from assay.preferences.table import JudgementTable, tabulate
from assay.preferences.traits import Declared
from assay.records.conversation import prompt_id
from assay.records.errors import ConfigError, explain
from assay.records.judgement import Judgement
from assay.storage import RecordStore, SplitName
from assay.storage.permission import permission
from assay.storage.splits import purpose_of

AGGREGATORS: Mapping[str, Aggregator] = MappingProxyType(
    {
        "joint": aggregate_jointly,
        "joint_without_surface": aggregate_without_surface,
        "joint_without_inversion": aggregate_without_inversion,
        "crowd_bt": aggregate_by_crowd_bt,
        "dawid_skene": aggregate_by_dawid_skene,
        "majority": aggregate_by_majority,
    }
)

NO_TOPIC = "no topic"


def get_aggregator(method: str) -> Aggregator:
    """The aggregator of this name. Raises ConfigError for a name that is not registered."""
    if method not in AGGREGATORS:
        do = "choose a registered method"
        raise ConfigError(explain(expected=f"one of {', '.join(sorted(AGGREGATORS))}", got=repr(method), do=do))
    return AGGREGATORS[method]


def aggregate_split(
    records: RecordStore,
    split: SplitName,
    *,
    method: str | Aggregator = "joint",
    now: datetime,
    traits: Traits | Declared | None = None,
    topics: Mapping[str, str] | None = None,
    seed: int = 0,
    tests_drift: bool = False,
) -> Aggregation:
    """Aggregate the judgements of one split and store report and preferences under it, all or nothing.

    Left out is what people took back, or did not agree to have used for what the split is for.
    `method` is a registered name or an aggregator. With `traits` the minority report is made and both views stay with
    the pairs on which a group differs; `topics` names the topic of a prompt by its identity. Of traits that
    people told on the site, the report names the records in which they did. Preferences carry the report's identity as
    their subject, so those of one method are found again. Doing the same work twice stores nothing
    new. Raises InputError for judgements that cannot be aggregated.
    """
    aggregate = get_aggregator(method) if isinstance(method, str) else method
    judgements = permission(records, purpose_of(split)).of(records.all(Judgement, split=split))
    result = aggregate(judgements, split=split.value, now=now)
    if traits is not None:
        table = tabulate(judgements)
        names = None if topics is None else [topics.get(prompt_id(pair.prompt), NO_TOPIC) for pair in table.pairs]
        result = with_both_views(result, table, _found(table, traits, topics=names, seed=seed))
    if tests_drift:
        drift = expectation_drift(judgements, rng=np.random.default_rng(seed))
        result = restated(result, result.report.model_copy(update={"drift": drift}))
    records.put_all(
        [
            (result.report, split.value, result.report.method),
            *((preference, split.value, result.report.id) for preference in result.preferences),
        ]
    )
    return result


def _found(
    table: JudgementTable, traits: Traits | Declared, *, topics: Sequence[str] | None, seed: int
) -> MinorityViews:
    """Where groups differ; what people told in confidence is shown of no few of them."""
    rng = np.random.default_rng(seed)
    if not isinstance(traits, Declared):
        return minority_views(table, traits, rng=rng, topics=topics)
    report, views = minority_views(
        table, traits.values, rng=rng, topics=topics, smallest_group=traits.smallest_group, withholds=True
    )
    used = tuple(sorted(traits.declarations[name] for name in table.annotators if name in traits.values))
    return MinorityViews(report.model_copy(update={"declarations": used}), views)
