"""Trail: what was seen of one run and said about it, from wherever it was written down. Takes policies and run logs."""

from collections.abc import Sequence
from dataclasses import dataclass

from assay.monitors.run_log import Acted, Begun, Ended, Entry, Rang, Sampled, Seen
from assay.records.errors import InputError, explain
from assay.records.observation import Alarm, Observation
from assay.records.policy import PolicyVersion


@dataclass(frozen=True)
class RunTrail:
    """One run: its checkpoints in the order of steps, the alarms, and what came of it.

    `monitors` names those that watched while it ran (none: nobody did). `kept_step` is the checkpoint that became the
    policy, None where none has yet. `ended` says why the run is over, None while it goes on or where nobody knows.
    `steps` is how many it may take, 0 where that is unknown.
    """

    name: str
    method: str
    observations: tuple[Observation, ...]
    alarms: tuple[Alarm, ...] = ()
    monitors: tuple[str, ...] = ()
    kept_step: int | None = None
    ended: str | None = None
    steps: int = 0
    actions: tuple[Acted, ...] = ()
    completions: tuple[Sampled, ...] = ()
    """A few of the last checkpoint's samples."""


def trail_of_policy(policy: PolicyVersion) -> RunTrail:
    """The trail that a policy version carries."""
    return RunTrail(
        name=policy.name,
        method=policy.method,
        observations=tuple(checkpoint.observation for checkpoint in policy.checkpoints),
        alarms=policy.alarms,
        monitors=policy.monitors,
        kept_step=policy.step,
        ended=policy.stop_reason,
        steps=policy.steps_run,
    )


def trail_of_log(entries: Sequence[Entry]) -> RunTrail:
    """The trail of a run log. Raises InputError when it does not begin with a run."""
    if not entries or not isinstance(entries[0], Begun):
        got = entries[0].kind if entries else "no entry"
        raise InputError(explain(expected="a run log that begins with `begun`", got=got, do="name another run"))
    begun, last = entries[0], entries[-1]
    seen = [entry for entry in entries if isinstance(entry, Seen)]
    ended = last if isinstance(last, Ended) else None
    return RunTrail(
        name=begun.name,
        method=begun.method,
        observations=tuple(entry.observation for entry in seen),
        alarms=tuple(entry.alarm for entry in entries if isinstance(entry, Rang)),
        monitors=begun.monitors,
        kept_step=ended.kept_step if ended else None,
        ended=ended.reason if ended else None,
        steps=begun.steps,
        actions=tuple(entry for entry in entries if isinstance(entry, Acted)),
        completions=seen[-1].completions if seen else (),
    )
