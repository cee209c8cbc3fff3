"""Rollout: the staged release as a state machine. Takes a release and a person's word, yields who is served what.

Two kinds of change, and nothing in between:

* `propose`, `raise_share`, `resume` and `promote` raise exposure. Each reads an approved decision for the candidate's
  policy back from the ledger, enters itself in the ledger first, and only then moves the pointer. No durable entry, no
  action. When somebody lowers exposure meanwhile, the lowering wins and the raise is refused.
* `shrink`, `hold`, `abort` and `roll_back` lower or freeze it. They need nobody's leave: the pointer moves first, in
  one atomic replacement; the ledger hears of it afterwards, and later still when it cannot be written.
"""

from collections.abc import Callable
from datetime import datetime
from hashlib import sha256
from typing import NamedTuple, Protocol

from assay.deployment.pointer import Event, Pointer, PointerFile, enter
from assay.governance import approved_decision
from assay.records.decision import Decision
from assay.records.errors import DeploymentError, GovernanceError, explain
from assay.records.policy import PolicyVersion
from assay.records.release import Release, RolloutState, RolloutStatus
from assay.storage import Workspace


class DecisionReader(Protocol):
    """Reads the approved decision on a policy back from the ledger, or raises GovernanceError."""

    def __call__(self, workspace: Workspace, policy_id: str, *, now: datetime) -> Decision:
        """The decision."""
        ...


class Change(NamedTuple):
    """Where the rollout stands after a change, and how many events wait because the ledger could not be written."""

    status: RolloutStatus
    events_waiting: int = 0

    @property
    def note(self) -> str:
        """A sentence on the ledger for people; empty when it heard everything."""
        waiting = f"{self.events_waiting} events wait in serving.json and go in with the next change"
        return f"the ledger could not be written: {waiting}" if self.events_waiting else ""


class Rollout:
    """The release line of one workspace, kept in its `serving.json`."""

    def __init__(self, workspace: Workspace, *, read_decision: DecisionReader = approved_decision) -> None:
        self._workspace = workspace
        self._read_decision = read_decision
        self._file = PointerFile(workspace.directory)

    @property
    def pointer(self) -> Pointer:
        """The pointer as it stands. Raises DeploymentError before the first start."""
        pointer = self._file.read()
        if pointer is None:
            do = "start one with `assay deploy start POLICY`"
            raise DeploymentError(explain(expected="a release being served", got="none", do=do))
        return pointer

    @property
    def status(self) -> RolloutStatus:
        """Stable, candidate, share and state. Raises DeploymentError before the first start."""
        return self.pointer.status

    def confirmed(self, *, now: datetime) -> Decision | None:
        """The candidate's decision, read back from the ledger; None without a candidate. Changes nothing."""
        candidate = self.status.candidate
        return None if candidate is None else self._approval(self._workspace.records.get(Release, candidate), now)

    def start(self, release: Release, *, now: datetime) -> Change:
        """Serve a first release to everybody: the reference, or one whose policy has an approved decision."""
        if self._file.read() is not None:
            got, do = f"release {self.status.stable[:12]}", "propose the new one as a candidate"
            raise DeploymentError(explain(expected="nothing to be served yet", got=got, do=do))
        policy = self._policy_of(release)
        decision = None if policy.method == "reference" else self._approval(release, now)
        status = RolloutStatus(stable=release.id, candidate=None, share_percent=0, state="idle", reason="first release")
        pointer = Pointer(status=status, salt=release.id[:16])
        enter(self._workspace.ledger, _event("rollout_started", pointer, now, decision))
        with self._file.locked():
            if self._file.read() is not None:
                raise _overtaken()
            self._file.write(pointer)
        return Change(status)

    def propose(self, release: Release, *, share_percent: int, now: datetime) -> Change:
        """Let a candidate answer `share_percent` (1 to 100) of the people. Needs an approved decision."""
        pointer = self.pointer
        if pointer.status.candidate is not None or release.id == pointer.status.stable:
            got = f"candidate {(pointer.status.candidate or release.id)[:12]}, state {pointer.status.state}"
            do = "promote or abort the candidate first; what is stable cannot be a candidate"
            raise DeploymentError(explain(expected="no candidate, and a release that is not stable", got=got, do=do))
        self._policy_of(release)
        reason = f"proposed at {share_percent} %"
        return self._raise("rollout_proposed", pointer, release, _share(share_percent, above=0), reason, now)

    def raise_share(self, share_percent: int, *, now: datetime) -> Change:
        """Show a running candidate to more people. Needs an approved decision."""
        pointer, candidate = self._candidate({"running"}, "resume or abort it first")
        share = _share(share_percent, above=pointer.status.share_percent)
        return self._raise("share_raised", pointer, candidate, share, f"raised to {share} %", now)

    def resume(self, *, now: datetime) -> Change:
        """Let a held candidate go on at the share it has. Needs an approved decision."""
        pointer, candidate = self._candidate({"held"}, "only a held rollout can be resumed")
        return self._raise("rollout_resumed", pointer, candidate, pointer.status.share_percent, "resumed", now)

    def promote(self, *, now: datetime) -> Change:
        """Make a running candidate the stable release. Needs an approved decision."""
        pointer, candidate = self._candidate({"running"}, "resume or abort it first")
        return self._raise("promoted", pointer, candidate, 100, "promoted", now)

    def shrink(self, reason: str, *, now: datetime, to_percent: int | None = None) -> Change:
        """Show the candidate to fewer people, half as many unless told, and freeze further steps."""

        def shrunk(pointer: Pointer) -> Pointer:
            share = pointer.status.share_percent
            fewer = share // 2 if to_percent is None else max(0, min(share, to_percent))
            return _moved(pointer, "held", reason, share_percent=fewer)

        return self._lower("share_shrunk", shrunk, now, needs_candidate=True)

    def hold(self, reason: str, *, now: datetime) -> Change:
        """Freeze the candidate at its share: no further step until a person resumes."""
        return self._lower("rollout_held", lambda p: _moved(p, "held", reason), now, needs_candidate=True)

    def abort(self, reason: str, *, now: datetime) -> Change:
        """Take the candidate away: everybody gets the stable release."""

        def aborted(pointer: Pointer) -> Pointer:
            return _moved(pointer, "aborted", reason, candidate=None, share_percent=0)

        return self._lower("rollout_aborted", aborted, now, needs_candidate=True)

    def roll_back(self, reason: str, *, now: datetime) -> Change:
        """Go back: take a candidate away where there is one, else restore the stable release before the promotion."""

        def rolled_back(pointer: Pointer) -> Pointer:
            if pointer.status.candidate is not None:
                return _moved(pointer, "rolled_back", reason, candidate=None, share_percent=0)
            if pointer.previous_stable is None:
                do = "nothing was promoted, so everybody has the stable release already"
                raise DeploymentError(explain(expected="a release to go back to", got="none", do=do))
            back = _moved(pointer, "rolled_back", reason, stable=pointer.previous_stable)
            return back.model_copy(update={"previous_stable": None})

        return self._lower("rolled_back", rolled_back, now, needs_candidate=False)

    def _raise(self, event: str, before: Pointer, candidate: Release, share: int, reason: str, now: datetime) -> Change:
        if self._file.drain(self._workspace.ledger):
            do = "mend the ledger first: exposure is raised only where the ledger can hear of it"
            raise DeploymentError(explain(expected="a ledger that can be written", got="one that cannot", do=do))
        decision = self._approval(candidate, now)
        if event == "promoted":
            after = _moved(before, "promoted", reason, stable=candidate.id, candidate=None, share_percent=0)
            after = after.model_copy(update={"previous_stable": before.status.stable})
        else:
            after = _moved(before, "running", reason, candidate=candidate.id, share_percent=share)
        after = after.model_copy(update={"queued": ()})
        enter(self._workspace.ledger, _event(event, after, now, decision))
        with self._file.locked():
            current = self._file.read()
            is_overtaken = current is None or current.change != before.change
            if not is_overtaken:
                self._file.write(after)
        if is_overtaken:
            enter(self._workspace.ledger, {"event": "raise_not_done", "change": after.change, "at": now.isoformat()})
            raise _overtaken()
        return Change(after.status)

    def _lower(self, event: str, move: Callable[[Pointer], Pointer], now: datetime, *, needs_candidate: bool) -> Change:
        with self._file.locked():
            before = self.pointer
            if needs_candidate and before.status.candidate is None:
                do = "there is nothing to lower; `roll_back` undoes a promotion"
                raise DeploymentError(explain(expected="a candidate", got=f"state {before.status.state}", do=do))
            after = move(before)
            queued = (*before.queued, _event(event, after, now, None))
            self._file.write(after.model_copy(update={"queued": queued}))
        return Change(after.status, self._file.drain(self._workspace.ledger))

    def _candidate(self, states: set[RolloutState], do: str) -> tuple[Pointer, Release]:
        pointer = self.pointer
        status = pointer.status
        if status.candidate is None or status.state not in states:
            got = f"state {status.state} ({status.reason})"
            raise DeploymentError(explain(expected=f"a candidate that is {' or '.join(states)}", got=got, do=do))
        return pointer, self._workspace.records.get(Release, status.candidate)

    def _approval(self, release: Release, now: datetime) -> Decision:
        decision = self._read_decision(self._workspace, release.policy, now=now)
        if decision.policy != release.policy or decision.outcome != "approved":
            got = f"{decision.outcome} for policy {decision.policy[:12]}"
            do = "ask for the change and have it approved"
            raise GovernanceError(explain(expected=f"an approval of policy {release.policy[:12]}", got=got, do=do))
        return decision

    def _policy_of(self, release: Release) -> PolicyVersion:
        """The stored policy of a stored release. Raises DeploymentError when the two do not name the same weights."""
        stored = self._workspace.records.get(Release, release.id)
        policy = self._workspace.records.get(PolicyVersion, stored.policy)
        if (stored.base_model, stored.adapter) != (policy.base_model, policy.adapter):
            got, do = "other weights", "make the release from the policy that was decided on"
            raise DeploymentError(explain(expected=f"the weights of policy {policy.short_id}", got=got, do=do))
        return policy


def bucket_of(salt: str, user_key: str) -> int:
    """The bucket (0 to 99) of one person, the same for all rollouts of a release line."""
    return int.from_bytes(sha256(f"{salt}:{user_key}".encode()).digest()[:8], "big") % 100


def release_for(pointer: Pointer, user_key: str | None) -> str:
    """The release that one person gets. Monotone in the share: who has the candidate keeps it when the share grows.

    Requests without a key get the stable release, since nobody could make them stick.
    """
    status = pointer.status
    if status.candidate is None or user_key is None:
        return status.stable
    return status.candidate if bucket_of(pointer.salt, user_key) < status.share_percent else status.stable


def _moved(pointer: Pointer, state: RolloutState, reason: str, **fields: str | int | None) -> Pointer:
    status = RolloutStatus.model_validate(pointer.status.model_dump() | fields | {"state": state, "reason": reason})
    return pointer.model_copy(update={"status": status, "change": pointer.change + 1})


def _share(percent: int, *, above: int) -> int:
    if not above < percent <= 100:
        do = "choose a larger share; `shrink` lowers it"
        raise DeploymentError(explain(expected=f"a share above {above} and up to 100 %", got=str(percent), do=do))
    return percent


def _event(name: str, pointer: Pointer, now: datetime, decision: Decision | None) -> Event:
    status = pointer.status
    return {
        "event": name,
        "change": pointer.change,
        "stable": status.stable,
        "candidate": status.candidate,
        "share_percent": status.share_percent,
        "state": status.state,
        "reason": status.reason,
        "decision": None if decision is None else decision.id,
        "at": now.isoformat(),
    }


def _overtaken() -> DeploymentError:
    do = "look at `assay deploy status`, then decide again"
    return DeploymentError(explain(expected="nobody else to change the rollout", got="a change meanwhile", do=do))
