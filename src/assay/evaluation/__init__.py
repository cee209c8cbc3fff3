"""Evaluation: takes a policy's completions and judges that did not train it, yields Evidence.

`evaluate` puts it together and `verdict` says SHIP, HOLD or DO NOT SHIP. `raters/` are the judges, `statistics` their
intervals, `gold` the demo's programmatic gold, `regression` asks whether training broke anything, `curve` draws proxy
against gold, `surface` reads texts, `report/` writes the one HTML page. All of it works without torch: language models
come in as callables, and only `under_test`, which makes them from a loaded model, imports it.
"""

from assay.evaluation.curve import Scale, build_curve, scale_of
from assay.evaluation.evaluate import Exhibits, evaluate
from assay.evaluation.gold import Gold, load_gold
from assay.evaluation.raters import (
    GoldRater,
    LexicalRater,
    Pairs,
    RewardRater,
    RubricRater,
    fit_lexical,
    judge_pairs,
)
from assay.evaluation.regression import LanguageModelUnderTest, check_regressions
from assay.evaluation.statistics import clopper_pearson, length_adjusted_win_rate, win_rate
from assay.evaluation.verdict import reach_verdict

__all__ = [
    "Exhibits",
    "Gold",
    "GoldRater",
    "LanguageModelUnderTest",
    "LexicalRater",
    "Pairs",
    "RewardRater",
    "RubricRater",
    "Scale",
    "build_curve",
    "check_regressions",
    "clopper_pearson",
    "evaluate",
    "fit_lexical",
    "judge_pairs",
    "length_adjusted_win_rate",
    "load_gold",
    "reach_verdict",
    "scale_of",
    "win_rate",
]
