"""Feedback: takes prompts with completions and what people say of them, yields judgements and demonstrations.

Room: `rows` reads files, `formats` knows what a row means, `reading` puts both together and reports every fault;
`folds` divides prompts and annotators between training and evaluation; `importing` stores, `exporting` writes back out;
`items` and `campaign` collect answers one by one, in an order and on sides that do not change; `consent` is what people
agree to first. `simulated` is the panel of the demo, `prompts` and `data` are what it is asked.
"""

from assay.feedback.campaign import (
    Campaign,
    current_judgements,
    find_campaign,
    next_item,
    open_campaign,
    progress,
    record_answer,
    shown_order,
    undo_last,
)
from assay.feedback.consent import TEXTS, consent_version, give_consent
from assay.feedback.exporting import export_judgements
from assay.feedback.folds import Folds, Shares
from assay.feedback.importing import ImportSummary, import_judgements
from assay.feedback.items import read_items
from assay.feedback.reading import Imported, read_judgements

__all__ = [
    "TEXTS",
    "Campaign",
    "Folds",
    "ImportSummary",
    "Imported",
    "Shares",
    "consent_version",
    "current_judgements",
    "export_judgements",
    "find_campaign",
    "give_consent",
    "import_judgements",
    "next_item",
    "open_campaign",
    "progress",
    "read_items",
    "read_judgements",
    "record_answer",
    "shown_order",
    "undo_last",
]
