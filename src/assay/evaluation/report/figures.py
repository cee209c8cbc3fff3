"""Figures: takes curves, raters and reliability bins, yields inline SVG that follows the page's colours.

Colours are stand-ins that become CSS variables of the page, so one drawing serves light, dark and print. The same
records give the same bytes: no date, a fixed salt for ids, text kept as text.
"""

import io
import re
import textwrap
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import matplotlib
from markupsafe import Markup, escape
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from assay.records.evidence import Curve, CurvePoint, RaterReport
from assay.records.identity import ScorerIdentity
from assay.records.reward import RewardQuality

INK, MUTED, LINE, PAPER = "#010101", "#020202", "#030303", "#040404"
RUNS = ("#050501", "#050502", "#050503", "#050504")
_VARIABLES = {
    INK: "ink",
    MUTED: "muted",
    LINE: "line",
    PAPER: "paper",
    **{colour: f"run-{number}" for number, colour in enumerate(RUNS, start=1)},
}
_STYLE: Any = {
    "svg.hashsalt": "assay",
    "svg.fonttype": "none",
    "font.family": "DejaVu Sans",
    "font.size": 10.0,
    "text.color": INK,
    "axes.labelcolor": MUTED,
    "axes.edgecolor": LINE,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "text.parse_math": False,
    "axes.unicode_minus": True,
}


def over_optimisation(curves: Sequence[Curve], *, title: str, description: str) -> Markup:
    """Proxy (dashed) and gold (solid) of each run against sqrt(KL), with gold's peak and the stop marked."""

    def paint(axes: Axes) -> None:
        axes.axhline(0, color=LINE, linewidth=1)
        for curve, colour in zip(curves, RUNS, strict=False):
            _draw_run(axes, curve, colour)
        axes.set_xlabel("distance from the reference, √KL (√nats)")
        axes.set_ylabel("change, reference s.d.")
        axes.margins(x=0.02, y=0.08)
        _legend(axes, columns=2)

    return _svg(paint, size=(8.6, 4.4), name="overopt", title=title, description=description)


def lengths(curves: Sequence[Curve], *, title: str, description: str) -> Markup:
    """Mean completion length over the steps of each run."""

    def paint(axes: Axes) -> None:
        for curve, colour in zip(curves, RUNS, strict=False):
            points = curve.points
            axes.plot(
                [p.step for p in points], [p.length for p in points], color=colour, linewidth=2, label=_label(curve)
            )
            stop = next((p for p in points if p.step == curve.stop_step), None)
            if stop is not None:
                axes.plot(stop.step, stop.length, "D", color=colour, markeredgecolor=PAPER, markersize=8)
        axes.set_xlabel("step")
        axes.set_ylabel("mean length")
        axes.set_ylim(bottom=0)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        _legend(axes, columns=2)

    return _svg(paint, size=(4.6, 3.3), name="length", title=title, description=description)


def forest(raters: Sequence[RaterReport], *, title: str, description: str) -> Markup:
    """Win rate of the policy by rater, raw and at equal length, with intervals."""

    def paint(axes: Axes) -> None:
        axes.axvline(0.5, color=MUTED, linewidth=1, linestyle=(0, (4, 3)))
        for row, rater in enumerate(raters):
            pairs = ((rater.win_rate, RUNS[3], "o", 0.13), (rater.adjusted_win_rate, RUNS[0], "s", -0.13))
            for estimate, colour, marker, shift in pairs:
                y = len(raters) - 1 - row + shift
                axes.plot([estimate.low, estimate.high], [y, y], color=colour, linewidth=2.2, solid_capstyle="round")
                axes.plot(estimate.value, y, marker, color=colour, markersize=7, markeredgecolor=PAPER)
        axes.plot([], [], "o-", color=RUNS[3], label="as judged")
        axes.plot([], [], "s-", color=RUNS[0], label="at equal length")
        axes.set_yticks(range(len(raters)), [_label(rater.identity) for rater in reversed(raters)])
        axes.tick_params(axis="y", length=0, labelcolor=INK)
        axes.set_ylim(-0.6, len(raters) - 0.4)
        axes.set_xlim(0, 1)
        axes.xaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
        axes.set_xlabel("pairs won by the policy (a tie is half a win)")
        _legend(axes, columns=2)

    height = 1.5 + 0.48 * len(raters)
    return _svg(paint, size=(8.6, height), name="forest", title=title, description=description)


def reliability(quality: RewardQuality, *, title: str, description: str) -> Markup:
    """How often the reward was right against how sure it was; circles grow with the number of pairs."""

    def paint(axes: Axes) -> None:
        bins = [one for one in quality.reliability if one.count]
        low = min([0.5, *(one.predicted for one in bins), *(one.observed for one in bins)])
        axes.plot([low, 1], [low, 1], color=MUTED, linewidth=1, linestyle=(0, (4, 3)), label="perfectly calibrated")
        axes.plot([one.predicted for one in bins], [one.observed for one in bins], color=RUNS[0], linewidth=2)
        largest = max([one.count for one in bins], default=1)
        sizes = [30.0 + 120.0 * one.count / largest for one in bins]
        axes.scatter([one.predicted for one in bins], [one.observed for one in bins], s=sizes, color=RUNS[0], zorder=3)
        axes.set_xlabel("how sure it was")
        axes.set_ylabel("how often it was right")
        axes.xaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
        axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
        axes.margins(0.06)
        _legend(axes, columns=1)

    return _svg(paint, size=(4.6, 3.3), name="reliability", title=title, description=description)


def _draw_run(axes: Axes, curve: Curve, colour: str) -> None:
    points = sorted(curve.points, key=lambda point: point.step)
    axes.plot(
        [p.sqrt_kl for p in points], [p.proxy for p in points], color=colour, linewidth=1.8, linestyle=(0, (5, 3))
    )
    axes.plot([], [], color=colour, linewidth=1.8, linestyle=(0, (5, 3)), label=f"{_label(curve)}: proxy reward")
    known = [(p, p.gold) for p in points if p.gold is not None]
    if not known:
        return
    x, y = [p.sqrt_kl for p, _ in known], [gold for _, gold in known]
    error = [p.gold_standard_error or 0.0 for p, _ in known]
    low, high = [g - e for g, e in zip(y, error, strict=True)], [g + e for g, e in zip(y, error, strict=True)]
    axes.fill_between(x, low, high, color=colour, alpha=0.13, linewidth=0)
    axes.plot(x, y, color=colour, linewidth=2.6, label=f"{_label(curve)}: gold")
    peak = max(known, key=lambda pair: pair[1])
    stop = next((pair for pair in known if pair[0].step == curve.stop_step), None)
    if stop is None:
        _mark(axes, peak, "*", colour, "peak", 1)
        return
    word = "end" if stop[0].step == points[-1].step else "stop"
    if stop[0].step != peak[0].step:
        _mark(axes, peak, "*", colour, "peak", 1)
        _mark(axes, stop, "D", colour, word, -1)
    else:
        _mark(axes, stop, "D", colour, f"peak and {word}", -1)


def _mark(axes: Axes, at: tuple[CurvePoint, float], marker: str, colour: str, word: str, side: int) -> None:
    point, gold = at
    size = 15 if marker == "*" else 8
    axes.plot(point.sqrt_kl, gold, marker, color=colour, markersize=size, markeredgecolor=PAPER, zorder=5)
    axes.annotate(
        word,
        (point.sqrt_kl, gold),
        xytext=(0, 15 * side),
        textcoords="offset points",
        ha="center",
        va="center",
        fontsize=9,
        color=colour,
    )


def _label(named: Curve | ScorerIdentity) -> str:
    """A name that fits a legend and holds no control characters."""
    return textwrap.shorten("".join(c if c.isprintable() else " " for c in named.name), 32, placeholder="…")


def _legend(axes: Axes, *, columns: int) -> None:
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1.0), ncols=columns, frameon=False, borderaxespad=0.2, fontsize=9)


def _svg(
    paint: Callable[[Axes], None], *, size: tuple[float, float], name: str, title: str, description: str
) -> Markup:
    with matplotlib.rc_context(_STYLE), warnings.catch_warnings():
        # Text stays text: the browser finds a font for what the measuring font lacks.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        figure = Figure(figsize=size, layout="constrained")
        FigureCanvasSVG(figure)
        axes = figure.add_subplot()
        axes.grid(axis="both", color=LINE, linewidth=0.6, alpha=0.6)
        axes.set_axisbelow(True)
        paint(axes)
        buffer = io.StringIO()
        nothing = {"Date": None, "Creator": None, "Format": None, "Type": None}
        figure.savefig(buffer, format="svg", transparent=True, metadata=nothing)
    return _inline(buffer.getvalue(), name=name, title=title, description=description)


def _inline(svg: str, *, name: str, title: str, description: str) -> Markup:
    """The drawing without its file header, with ids of its own, the page's colours, and words for those who listen."""
    body = svg[svg.index("<svg") :]
    body = re.sub(r"<metadata>.*?</metadata>\s*", "", body, flags=re.DOTALL)
    body = re.sub(r'\bid="', f'id="{name}-', body)
    body = re.sub(r"url\(#", f"url(#{name}-", body)
    body = re.sub(r'xlink:href="#', f'href="#{name}-', body)
    for colour, variable in _VARIABLES.items():
        body = body.replace(colour, f"var(--{variable})")
    start = body.index(">") + 1
    box = re.search(r'viewBox="[^"]+"', body[:start])
    head = f'<svg role="img" aria-labelledby="{name}-title {name}-desc" {box.group() if box else ""}>'
    words = f'<title id="{name}-title">{escape(title)}</title><desc id="{name}-desc">{escape(description)}</desc>'
    return Markup(head + words + body[start:])  # noqa: S704 (drawn here; every text in it is escaped)
