"""Reliability plot: draws how often a reward was right against how sure it was, as one SVG file."""

from pathlib import Path

import matplotlib
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from assay.records.errors import StorageError, explain
from assay.records.reward import RewardQuality

LARGEST = 150.0
"""Area in square points of the circle of the fullest bin."""


def draw_reliability(quality: RewardQuality, file: Path, *, title: str) -> None:
    """Write the diagram; circles grow with the number of pairs. The same quality gives the same bytes.

    Raises StorageError when the file cannot be written.
    """
    bins = quality.reliability
    predicted, observed = [b.predicted for b in bins], [b.observed for b in bins]
    largest = max((b.count for b in bins), default=1)
    with matplotlib.rc_context({"svg.hashsalt": "assay", "svg.fonttype": "none"}):
        figure = Figure(figsize=(4.6, 4.2), layout="constrained")
        FigureCanvasSVG(figure)
        axes = figure.add_subplot()
        axes.plot([0, 1], [0, 1], color="0.6", linestyle="--", linewidth=1, label="perfectly calibrated")
        axes.plot(predicted, observed, color="tab:blue", linewidth=1.5)
        axes.scatter(predicted, observed, s=[LARGEST * b.count / largest for b in bins], color="tab:blue", zorder=3)
        axes.set(xlabel="predicted probability", ylabel="observed frequency", xlim=(0, 1), ylim=(0, 1))
        axes.set_title(f"{title}: ECE {quality.ece:.3f}, {quality.pairs} held-out pairs", fontsize=10)
        axes.legend(frameon=False, loc="upper left")
        try:
            figure.savefig(file, format="svg", metadata={"Date": None})
        except OSError as error:
            do = "name a file in a folder you may write to"
            raise StorageError(explain(expected=f"to write {file}", got=str(error), do=do)) from error
