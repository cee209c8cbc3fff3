"""Raters: takes prompts with pairs of completions, yields who won and how far each judge can be trusted.

`rater` is the protocol and the hearing in both orders; `rubric` plain rules, `lexical` words and style fitted on
held-out people, `reward_rater` any held-out reward, `gold_rater` the demo's gold. At least three of different
kinds make a panel.
"""

from assay.evaluation.raters.gold_rater import GoldRater
from assay.evaluation.raters.lexical import LexicalRater, fit_lexical
from assay.evaluation.raters.rater import Hearing, Pairs, Rater, hear, human_agreement, judge_pairs, report
from assay.evaluation.raters.reward_rater import RewardRater, Scorer
from assay.evaluation.raters.rubric import RubricRater

__all__ = [
    "GoldRater",
    "Hearing",
    "LexicalRater",
    "Pairs",
    "Rater",
    "RewardRater",
    "RubricRater",
    "Scorer",
    "fit_lexical",
    "hear",
    "human_agreement",
    "judge_pairs",
    "report",
]
