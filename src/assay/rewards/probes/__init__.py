"""Probes: takes any reward with prompts and completions, yields what it pays for form alone.

`editors` holds the edits (length, lists, flattery, jargon, keywords and the like, with three controls),
`counterfactual` applies them and says how far the reward moves, how many pairs flip, and what people make of it.
"""

from assay.rewards.probes.counterfactual import People, Probe, Shift, people_on_edits, probe
from assay.rewards.probes.editors import EDITORS, Editor

__all__ = [
    "EDITORS",
    "Editor",
    "People",
    "Probe",
    "Shift",
    "people_on_edits",
    "probe",
]
