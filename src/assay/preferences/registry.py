"""Registry: the aggregators by name, and the one step from stored judgements to stored preferences."""

from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType

from assay.preferences.aggregation import Aggregation, Aggregator
from assay.preferences.joint import aggregate_jointly
from assay.preferences.majority import aggregate_by_majority
from assay.records.errors import ConfigError, explain
from assay.records.judgement import Judgement
from assay.storage import RecordStore, SplitName

AGGREGATORS: Mapping[str, Aggregator] = MappingProxyType(
    {"joint": aggregate_jointly, "majority": aggregate_by_majority}
)


def get_aggregator(method: str) -> Aggregator:
    """The aggregator of this name. Raises ConfigError for a name that is not registered."""
    if method not in AGGREGATORS:
        do = "choose a registered method"
        raise ConfigError(explain(expected=f"one of {', '.join(sorted(AGGREGATORS))}", got=repr(method), do=do))
    return AGGREGATORS[method]


def aggregate_split(records: RecordStore, split: SplitName, *, method: str = "joint", now: datetime) -> Aggregation:
    """Aggregate the judgements of one split and store report and preferences under it, all or nothing.

    Preferences carry the report's identity as their subject, so those of one method are found again. Doing the same
    work twice stores nothing new. Raises InputError for judgements that cannot be aggregated.
    """
    result = get_aggregator(method)(records.all(Judgement, split=split), split=split.value, now=now)
    records.put_all(
        [
            (result.report, split.value, method),
            *((preference, split.value, result.report.id) for preference in result.preferences),
        ]
    )
    return result
