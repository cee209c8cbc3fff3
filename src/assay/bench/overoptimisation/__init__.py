"""Over-optimisation benchmark: takes a plan of simulated regimes, yields how much gold every arm keeps, and the bars.

`world` draws completions and gold, `labels` the people; `fitting` learns once, `arms` and `stack` make rewards of it,
`paths` optimise them exactly; `observing` shows a run as monitors see it and `detectors` judge it; `measuring` is the
only place where gold meets the arms; `outcomes`, `metrics` and `claims` add up; `runner` spreads seeds over cores,
`plan` is the committed file `frozen.yaml`, `plots` draws.
"""

from assay.bench.overoptimisation.claims import Report, bars_of, report
from assay.bench.overoptimisation.plan import Plan, load_plan
from assay.bench.overoptimisation.plots import plot_curves
from assay.bench.overoptimisation.runner import run_plan

__all__ = ["Plan", "Report", "bars_of", "load_plan", "plot_curves", "report", "run_plan"]
