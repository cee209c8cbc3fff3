"""Formats: takes one row of a data file, yields judgements or demonstrations, or every fault in the row; and back.

`registry` holds readers and writers by name, `row` gives typed fields and gathers faults, `pairs` cuts off what two
answers share, `screens` knows what other tools call a prompt, its answers and a choice. One module a format: `argilla`,
`label_studio`, `openai`, `assay` (our own), `hh_rlhf`, `pandalm`, `trl` and `demonstrations`; importing this package
registers them, the more particular before the more general.
"""

# isort: off
from assay.feedback.formats import argilla, label_studio, openai, assay, hh_rlhf, pandalm, trl, demonstrations
# isort: on

from assay.feedback.formats.registry import FORMATS, WRITERS, Format, formats_in_words

__all__ = [
    "FORMATS",
    "WRITERS",
    "Format",
    "argilla",
    "assay",
    "demonstrations",
    "formats_in_words",
    "hh_rlhf",
    "label_studio",
    "openai",
    "pandalm",
    "trl",
]
