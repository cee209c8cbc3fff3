"""Governance: takes evidence and approvals, yields a signed decision; the only way to more exposure.

Read in this order: `signing` (keys and signatures), `enrolment` (whose key it is), `diagnostics` (what may never gate),
`gates` (conditions checked against evidence), `change_control` (open, approve, decide), `history` (the same, read back
from the ledger and verified), `decisions` (what deployment asks for), `escalation` (review tasks for people), `ethics`
(who signed what a campaign asks of people), `checkpoints` (the ledger's head, kept elsewhere), `cards/` (model, data
and reward cards written from records).
"""

from assay.governance.cards import write_cards
from assay.governance.change_control import approve, decide, open_change_request
from assay.governance.checkpoints import read_checkpoint, write_checkpoint
from assay.governance.decisions import approved_decision
from assay.governance.enrolment import enroll, people
from assay.governance.escalation import close_review, open_review, open_reviews
from assay.governance.gates import Gate, check_gates, load_gates
from assay.governance.history import Standing, standings
from assay.governance.signing import SigningKey, create_key, load_key

__all__ = [
    "Gate",
    "SigningKey",
    "Standing",
    "approve",
    "approved_decision",
    "check_gates",
    "close_review",
    "create_key",
    "decide",
    "enroll",
    "load_gates",
    "load_key",
    "open_change_request",
    "open_review",
    "open_reviews",
    "people",
    "read_checkpoint",
    "standings",
    "write_cards",
    "write_checkpoint",
]
