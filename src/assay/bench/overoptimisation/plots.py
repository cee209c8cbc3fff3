"""Plots: gold against sqrt(KL) for the arms that tell the story, one panel a regime. Takes a report, writes a file."""

from pathlib import Path

import numpy as np
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from assay.bench.overoptimisation.claims import Report

COLOURS = {
    "single": "#9a9a9a",
    "mean": "#c98b2b",
    "WCO": "#b5482a",
    "Assay without stop": "#1b6e5a",
    "gold": "#d4af37",
}
COLUMNS = 3


def plot_curves(found: Report, file: Path) -> None:
    """Draw mean gold along best-of-n in every regime, with the stack's stop; SVG or PNG by the file's ending."""
    rows = -(-len(found.regimes) // COLUMNS)
    figure = Figure(figsize=(4 * COLUMNS, 3 * rows), layout="constrained")
    FigureCanvasSVG(figure)
    axes = figure.subplots(rows, COLUMNS, squeeze=False).ravel()
    for axis, regime in zip(axes, found.regimes.values(), strict=False):
        for arm, colour in COLOURS.items():
            summary = regime.arms[arm]
            axis.plot(np.sqrt(summary.kl), summary.curve, color=colour, label=arm)
        stopped = regime.arms["Assay"].gold
        axis.axhspan(
            stopped.low, stopped.high, color=COLOURS["Assay without stop"], alpha=0.2, label="Assay at its stop"
        )
        axis.set_title(f"{regime.regime} ({regime.seeds} seeds)")
        axis.set_xlabel("sqrt(KL), best-of-n")
        axis.set_ylabel("gold, base s.d.")
    for axis in axes[len(found.regimes) :]:
        axis.set_visible(False)
    axes[0].legend(fontsize="small")
    figure.savefig(file)
