"""Monitors: watch a run, or live traffic, for signs that a reward is being hacked.

Room: takes one observation at a time (numbers named as in `docs/metrics.md`), yields alarms with their evidence and the
action they ask for. `protocol` says what a monitor is; one file a monitor: `kl_budget`, `disagreement`,
`latent_outliers`, `length_drift`, `repetition`, `proxy_panel_gap`; `watch` runs several, `registry` builds them by
name, `audit` reads the trail afterwards, `text_statistics` (imported by its module) gives the surface numbers of one
completion. No monitor's output enters a reward.
"""

from assay.monitors.audit import Audit, audit_policy
from assay.monitors.protocol import Finding, Monitor, Rule, RuleMonitor
from assay.monitors.registry import MONITORS, build_monitors, default_monitors
from assay.monitors.watch import ENDING, STRICTNESS, MonitorBank, strictest_action

__all__ = [
    "Audit",
    "ENDING",
    "Finding",
    "MONITORS",
    "Monitor",
    "MonitorBank",
    "Rule",
    "RuleMonitor",
    "STRICTNESS",
    "audit_policy",
    "build_monitors",
    "default_monitors",
    "strictest_action",
]
