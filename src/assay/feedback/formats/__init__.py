"""Formats: takes one row of a data file, yields judgements or demonstrations, or every fault in the row.

`registry` holds the formats by name, `row` gives typed fields and gathers faults, `pairs` cuts off what two answers
share. One module a format: `assay` (our own), `hh_rlhf`, `pandalm`, `trl` and `demonstrations`; importing this package
registers them, the more particular before the more general.
"""

# isort: off
from assay.feedback.formats import assay, hh_rlhf, pandalm, trl, demonstrations
# isort: on

from assay.feedback.formats.registry import FORMATS, Format, formats_in_words

__all__ = ["FORMATS", "Format", "assay", "demonstrations", "formats_in_words", "hh_rlhf", "pandalm", "trl"]
