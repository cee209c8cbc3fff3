"""Metrics page: every metric that a monitor reads is defined in docs/metrics.md, and none is defined twice."""

import re
from collections import Counter
from pathlib import Path

import pytest

from assay.monitors import MonitorBank, default_monitors

PAGE = Path(__file__).parents[2] / "docs" / "metrics.md"


@pytest.fixture(scope="module")
def defined():
    return re.findall(r"^\| `([a-z_]+/[a-z_/<>]+)` \|", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE)


def test_every_metric_that_a_monitor_reads_is_defined(defined):
    assert MonitorBank(default_monitors()).reads <= set(defined)


def test_no_metric_is_defined_twice(defined):
    assert [name for name, count in Counter(defined).items() if count > 1] == []


def test_the_metrics_of_a_measured_checkpoint_are_defined(defined):
    from simulated_runs import clean_run

    assert set(clean_run(0)[0].values) <= set(defined)
