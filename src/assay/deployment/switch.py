"""Switch: turns the kill switch. Off needs nobody and works without a ledger; on needs the candidate's decision again.

The share of a candidate was decided when it was raised, but the switch may have been off for long: before it goes on,
the decision is read back from the ledger, and the ledger hears of it first.
"""

from datetime import datetime
from pathlib import Path

from assay.deployment.flags import set_candidate_switch
from assay.deployment.rollout import Rollout
from assay.records.errors import LedgerError
from assay.storage import Workspace


def switch_off(workspace: Workspace, flags: Path, *, now: datetime) -> str:
    """Keep every candidate away from the next request on. Returns a note where the ledger could not be told."""
    set_candidate_switch(flags, is_on=False)
    try:
        workspace.ledger.append("switched_off", at=now.isoformat())
    except LedgerError as error:
        return f"the switch is off, but the ledger could not be told: {error}"
    return ""


def switch_on(workspace: Workspace, rollout: Rollout, flags: Path, *, now: datetime) -> None:
    """Let a candidate answer its share again. Raises GovernanceError where its decision no longer stands."""
    decision = rollout.confirmed(now=now)
    workspace.ledger.append("switched_on", decision=None if decision is None else decision.id, at=now.isoformat())
    set_candidate_switch(flags, is_on=True)
