"""Metrics page: every metric that a monitor reads is defined in docs/metrics.md, and none is defined twice."""

import re
from collections import Counter
from pathlib import Path

import pytest
from simulated_runs import clean_run

from assay.monitors import MONITORS, MonitorBank, build_monitors
from assay.monitors.text_statistics import STYLE_FEATURES
from assay.records.observation import Observation

PAGE = Path(__file__).parents[2] / "docs" / "metrics.md"


COMPONENT = re.compile(r"^components/[a-z]+(_sd)?$")
CONSTRAINT = re.compile(r"^constraints/[a-z]+/")


@pytest.fixture(scope="module")
def defined():
    return re.findall(r"^\| `([a-z_]+/[a-z_/<>]+)` \|", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE)


def is_defined(name, defined):
    """A name, the spread of one, or one of a family that the page defines as a whole."""
    family = CONSTRAINT.sub("constraints/<name>/", name)
    return name.removesuffix("_sd") in defined or family in defined or COMPONENT.match(name) is not None


def test_every_metric_that_a_monitor_reads_is_defined(defined):
    bank = MonitorBank(build_monitors({name: {} for name in MONITORS}))
    read = bank.reads.union(*bank.silent(Observation(step=0, values={})).values())
    assert [name for name in sorted(read) if not name.endswith("*") and not is_defined(name, defined)] == []
    assert {name for name in read if name.endswith("*")} == {"components/*", "constraints/*", "style/*"}
    assert "constraints/<name>/multiplier" in defined
    assert "components/<name>" in defined


def test_every_monitor_stands_on_the_page(defined):
    page = PAGE.read_text(encoding="utf-8")
    assert [name for name in MONITORS if f"`{name}`" not in page] == []


def test_no_metric_is_defined_twice(defined):
    assert [name for name, count in Counter(defined).items() if count > 1] == []


def test_the_metrics_of_a_measured_checkpoint_are_defined(defined):
    assert [name for name in clean_run(0)[0].values if not is_defined(name, defined)] == []
    assert [name for name in STYLE_FEATURES if f"style/{name}" not in defined] == []
