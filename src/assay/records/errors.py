"""Errors: the one tree that every room raises from, one branch a boundary.

    AssayError                  something the person at the keyboard can act on
    ├── ConfigError             a setting or a recipe is wrong
    ├── InputError              a data file is wrong; carries every fault found, not only the first
    ├── ModelError              a language model is missing or cannot be loaded
    ├── StorageError            the disk, the database or an artifact failed
    │   ├── BusyError           another run holds this directory
    │   └── LedgerError         the ledger's chain does not verify
    ├── FirewallError           training and evaluation would see the same thing
    │   └── SplitError          training code asked for held-out or sealed data
    ├── TrainingError           an optimisation cannot go on (a loss that is not a number, no data)
    ├── GovernanceError         a release is not allowed
    └── DeploymentError         the gateway or a rollout cannot do what was asked

A message says what was expected, what was found and what to do, in that order: `explain` writes it.
"""

from collections.abc import Sequence


class AssayError(Exception):
    """Base of all errors that are the user's to mend; the command line prints them without a traceback."""


class ConfigError(AssayError):
    """A setting or a recipe is wrong."""


class InputError(AssayError):
    """A data file is wrong. `faults` lists every fault, each with its place."""

    def __init__(self, message: str, faults: Sequence[str] = ()) -> None:
        self.faults = tuple(faults)
        super().__init__("\n".join([message, *(f"  {fault}" for fault in self.faults)]))


class ModelError(AssayError):
    """A language model is missing or cannot be loaded."""


class StorageError(AssayError):
    """The disk, the database or an artifact failed."""


class BusyError(StorageError):
    """Another run holds this directory."""


class LedgerError(StorageError):
    """The ledger's chain does not verify."""


class FirewallError(AssayError):
    """Training and evaluation would see the same thing."""


class SplitError(FirewallError):
    """Training code asked for held-out or sealed data."""


class TrainingError(AssayError):
    """An optimisation cannot go on."""


class GovernanceError(AssayError):
    """A release is not allowed."""


class DeploymentError(AssayError):
    """The gateway or a rollout cannot do what was asked."""


def explain(*, expected: str, got: str, do: str) -> str:
    """One sentence for people: what was expected, what was found, what to do."""
    return f"expected {expected}; got {got}; {do}"
