"""Cost labels: which completions people found to break a rule, read from what they marked in them.

Takes judgements, yields labels for a cost model. A completion with a critique of one of the categories is a violation
in the eyes of who marked it. That somebody marked nothing says something only of people who mark: of each one with at
least one critique of whatever category, every other completion they judged is a label of no violation.

Does not catch: violations that were read and not marked, and what a person would have marked had the campaign allowed
critiques.
"""

from collections.abc import Sequence

from assay.records.judgement import Judgement
from assay.rewards.completion_rows import standing
from assay.rewards.cost import Labelled


def violation_labels(judgements: Sequence[Judgement], categories: Sequence[str]) -> list[tuple[Judgement, Labelled]]:
    """A label for each completion that each marking person judged, with the judgement that it is read from."""
    held = standing(judgements)
    marking = {j.annotator for j in held if j.critiques}
    labels = []
    for judgement in held:
        if judgement.annotator not in marking:
            continue
        marked = {critique.completion for critique in judgement.critiques if critique.category in categories}
        for side, text in (("first", judgement.first), ("second", judgement.second)):
            label = Labelled(prompt=judgement.prompt, completion=text, is_violation=side in marked)
            labels.append((judgement, label))
    return labels
