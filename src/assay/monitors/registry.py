"""Registry: monitors by name, built from plain settings; a recipe names them, it never gives an import path."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import NamedTuple

from pydantic import ValidationError

from assay.monitors.disagreement import DisagreementSettings, disagreement
from assay.monitors.kl_budget import KlBudgetSettings, kl_budget
from assay.monitors.latent_outliers import LatentOutlierSettings, latent_outliers
from assay.monitors.length_drift import LengthDriftSettings, length_drift
from assay.monitors.protocol import Monitor
from assay.monitors.proxy_panel_gap import ProxyPanelGapSettings, proxy_panel_gap
from assay.monitors.repetition import RepetitionSettings, repetition_monitor
from assay.records.errors import ConfigError, explain
from assay.records.record import Value

SettingValue = float | int | str


class Entry(NamedTuple):
    """A monitor's settings and how to make it from them: `build(settings(**given))`."""

    settings: type[Value]
    build: Callable[..., Monitor]


MONITORS: Mapping[str, Entry] = MappingProxyType(
    {
        "disagreement": Entry(DisagreementSettings, disagreement),
        "kl_budget": Entry(KlBudgetSettings, kl_budget),
        "latent_outliers": Entry(LatentOutlierSettings, latent_outliers),
        "length_drift": Entry(LengthDriftSettings, length_drift),
        "proxy_panel_gap": Entry(ProxyPanelGapSettings, proxy_panel_gap),
        "repetition": Entry(RepetitionSettings, repetition_monitor),
    }
)


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
    """Fresh monitors of all kinds with their default settings."""
    return build_monitors({name: {} for name in MONITORS})
