"""Surface columns: how much longer and how much more formatted one completion of a pair is than the other.

Takes pairs; yields one standardised row a pair for the nuisance part of the joint fit. Meant for panels that like
length or lists for their own sake: what the columns explain, scores need not. It also takes out length that was worth
having, so it is a choice and no default.
"""

import re
from collections.abc import Sequence

import numpy as np

from assay.preferences.table import Floats, Pair

COLUMNS = ("log characters", "log format marks")
MARKS = re.compile(r"^\s*(?:[-*+]|\d+[.)]|#{1,6})\s|\*\*|`", re.MULTILINE)
"""List items, headings, bold and code."""


def surface_columns(pairs: Sequence[Pair]) -> Floats:
    """Differences [pairs, 2], `a` minus `b`, each column over its root mean square (as it is where all are 0)."""
    sides = (np.array([_surface(text) for text in texts]) for texts in zip(*((p.a, p.b) for p in pairs), strict=True))
    a, b = sides
    difference = a - b
    size = np.sqrt((difference**2).mean(axis=0))
    return np.asarray(difference / np.where(size > 0, size, 1.0), dtype=np.float64)


def _surface(text: str) -> tuple[float, float]:
    return float(np.log1p(len(text))), float(np.log1p(len(MARKS.findall(text))))
