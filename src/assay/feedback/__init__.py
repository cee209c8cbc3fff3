"""Feedback: takes prompts with completions and what people say of them, yields judgements and demonstrations.

Room: `rows` reads files and `tables` those of cells, `formats` knows what a row means, `reading` puts both together and
reports every fault; `folds` divides prompts and annotators between training and evaluation; `importing` stores,
`exporting` writes back out what its purpose allows, under `pseudonyms` where they are promised; `tokens` let programs
read, `webhooks` tell them what happened.

Collecting: `items` and `schemes` are what is asked, `campaign` opens it, `selection` says how items of a pool came to
be asked about, `assignment` gives each person the next item by leases (which of the next few, says `ahead`, by
`panels` and `mixing`), `answering` turns what stood on the screen into records, `redaction` hides models' names,
`pii` finds personal data in what people write, with others beside it (`pii_finders`, `pii_presidio`). People: the
`ethics` review of a campaign (declared in files, as schemes are: `declared`), `consent` by purpose, `withdrawal`,
`erasure` of what people wrote and its `retention`, `accounts`, roles and `passwords`, `recruiting` from panel
providers, `profiles` of what people want and `comfort` of what they would rather not see, `panels` of whom a campaign
wants and `diversity` of who came, `group_consent` to what people told showing groups, `fatigue` and breaks (with
`company` in what was said), `quality` of their answers with their `habits` and `shares`, `check_fairness`,
`demonstrations` from their edits. `simulated` is the panel of the demo, `prompts` and `data` are what it is asked.
"""

from assay.feedback.answering import Said, current_judgements
from assay.feedback.assignment import next_turn, progress, record_answer, undo_last
from assay.feedback.campaign import Campaign, find_campaign, open_campaign, queue_of
from assay.feedback.consent import TEXTS, consent_version, give_consent
from assay.feedback.exporting import export_judgements
from assay.feedback.folds import Folds, Shares
from assay.feedback.importing import ImportSummary, import_judgements
from assay.feedback.reading import Imported, read_judgements

__all__ = [
    "TEXTS",
    "Campaign",
    "Folds",
    "ImportSummary",
    "Imported",
    "Said",
    "Shares",
    "consent_version",
    "current_judgements",
    "export_judgements",
    "find_campaign",
    "give_consent",
    "import_judgements",
    "next_turn",
    "open_campaign",
    "progress",
    "queue_of",
    "read_judgements",
    "record_answer",
    "undo_last",
]
