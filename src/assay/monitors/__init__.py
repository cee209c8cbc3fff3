"""Monitors: watch a run, or live traffic, for signs that a reward is being hacked.

Room: takes one observation at a time (numbers named as in `docs/metrics.md`), yields alarms with their evidence and the
action they ask for. `protocol` says what a monitor is, `contract` tests one, `registry` builds them by name, `watch`
runs several, `audit` reads the trail of a run afterwards. One file a monitor:

    distance          kl_budget, kl_acceleration, entropy_collapse, no_gain
    reward            disagreement, latent_outliers, split_proxy_gap, proxy_panel_gap, reward_length, slope_break
    text              length_drift, style_drift, repetition, lexical_contrast
    composite reward  component_dominance, ceiling_saturation, variance_collapse
    constraints       multiplier_bound, multiplier_swing
    people            noisy_audit
    all together      combined, on the channels of `effects`

`sequential` holds CUSUM and e-processes with thresholds for a stated rate of false alarms, `trend` breaks of a curve.
`text_statistics` and `sample_statistics` (imported by their modules) turn completions into the numbers that are
observed. `run_log`, `trainer_state` and `run_files` read a run's trail from where it was written. No monitor's output
enters a reward.
"""

from assay.monitors.audit import Audit, audit_policy
from assay.monitors.contract import broken_promises
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
    "broken_promises",
    "build_monitors",
    "default_monitors",
    "strictest_action",
]
