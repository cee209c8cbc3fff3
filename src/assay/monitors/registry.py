"""Registry: monitors by name, built from plain settings; a recipe names them, it never gives an import path."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import NamedTuple

from pydantic import ValidationError

from assay.monitors.ceiling_saturation import CeilingSaturationSettings, ceiling_saturation
from assay.monitors.combined import CombinedSettings, combined
from assay.monitors.component_dominance import ComponentDominanceSettings, component_dominance
from assay.monitors.disagreement import DisagreementSettings, disagreement
from assay.monitors.entropy_collapse import EntropyCollapseSettings, entropy_collapse
from assay.monitors.kl_acceleration import KlAccelerationSettings, kl_acceleration
from assay.monitors.kl_budget import KlBudgetSettings, kl_budget
from assay.monitors.latent_outliers import LatentOutlierSettings, latent_outliers
from assay.monitors.length_drift import LengthDriftSettings, length_drift
from assay.monitors.lexical_contrast import LexicalContrastSettings, lexical_contrast
from assay.monitors.multiplier_bound import MultiplierBoundSettings, multiplier_bound
from assay.monitors.multiplier_swing import MultiplierSwingSettings, multiplier_swing
from assay.monitors.no_gain import NoGainSettings, no_gain
from assay.monitors.noisy_audit import NoisyAuditSettings, noisy_audit
from assay.monitors.protocol import Monitor
from assay.monitors.proxy_panel_gap import ProxyPanelGapSettings, proxy_panel_gap
from assay.monitors.repetition import RepetitionSettings, repetition_monitor
from assay.monitors.reward_length import RewardLengthSettings, reward_length
from assay.monitors.slope_break import SlopeBreakSettings, slope_break
from assay.monitors.split_proxy_gap import SplitProxyGapSettings, split_proxy_gap
from assay.monitors.style_drift import StyleDriftSettings, style_drift
from assay.monitors.variance_collapse import VarianceCollapseSettings, variance_collapse
from assay.records.errors import ConfigError, explain
from assay.records.record import Value

SettingValue = float | int | str


class Entry(NamedTuple):
    """A monitor's settings and how to make it from them: `build(settings(**given))`."""

    settings: type[Value]
    build: Callable[..., Monitor]


MONITORS: Mapping[str, Entry] = MappingProxyType(
    {
        "ceiling_saturation": Entry(CeilingSaturationSettings, ceiling_saturation),
        "combined": Entry(CombinedSettings, combined),
        "component_dominance": Entry(ComponentDominanceSettings, component_dominance),
        "disagreement": Entry(DisagreementSettings, disagreement),
        "entropy_collapse": Entry(EntropyCollapseSettings, entropy_collapse),
        "kl_acceleration": Entry(KlAccelerationSettings, kl_acceleration),
        "kl_budget": Entry(KlBudgetSettings, kl_budget),
        "latent_outliers": Entry(LatentOutlierSettings, latent_outliers),
        "length_drift": Entry(LengthDriftSettings, length_drift),
        "lexical_contrast": Entry(LexicalContrastSettings, lexical_contrast),
        "multiplier_bound": Entry(MultiplierBoundSettings, multiplier_bound),
        "multiplier_swing": Entry(MultiplierSwingSettings, multiplier_swing),
        "no_gain": Entry(NoGainSettings, no_gain),
        "noisy_audit": Entry(NoisyAuditSettings, noisy_audit),
        "proxy_panel_gap": Entry(ProxyPanelGapSettings, proxy_panel_gap),
        "repetition": Entry(RepetitionSettings, repetition_monitor),
        "reward_length": Entry(RewardLengthSettings, reward_length),
        "slope_break": Entry(SlopeBreakSettings, slope_break),
        "split_proxy_gap": Entry(SplitProxyGapSettings, split_proxy_gap),
        "style_drift": Entry(StyleDriftSettings, style_drift),
        "variance_collapse": Entry(VarianceCollapseSettings, variance_collapse),
    }
)

OFF_BY_DEFAULT = frozenset({"kl_acceleration", "slope_break"})
"""Monitors that ring where a schedule changes the speed of a healthy run, and so watch only where they are named."""


def build_monitors(settings: Mapping[str, Mapping[str, SettingValue]]) -> tuple[Monitor, ...]:
    """Fresh monitors, one for each name, with the given settings over the defaults.

    Raises ConfigError with every unknown name, unknown setting and impossible value at once.
    """
    faults: list[str] = []
    monitors: list[Monitor] = []
    for name, given in settings.items():
        entry = MONITORS.get(name)
        if entry is None:
            faults.append(f"no monitor is called {name!r} (there are {', '.join(sorted(MONITORS))})")
            continue
        try:
            monitors.append(entry.build(entry.settings(**given)))
        except ValidationError as error:
            faults += [f"{name}.{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors()]
    if faults:
        do = "mend the monitors in the recipe"
        raise ConfigError(explain(expected="known monitors with possible settings", got="; ".join(faults), do=do))
    return tuple(monitors)


def default_monitors() -> tuple[Monitor, ...]:
    """Fresh monitors of all kinds but those off by default, with their default settings.

    Those whose metrics a run does not measure stay silent, and `MonitorBank.silent` names them.
    """
    return build_monitors({name: {} for name in MONITORS if name not in OFF_BY_DEFAULT})
