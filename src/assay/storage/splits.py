"""Splits: who may read what. Training opens training splits only; held-out and sealed data are refused to it.

A prompt belongs to one split for ever, by the hash of its messages and a salt, so that all pairs and near copies of one
prompt stay together. `train` fits rewards and policies, `watch` fits what the monitors use to stop a run, `held_out` is
for evaluation, `sealed` is opened once a release.
"""

from collections.abc import Sequence
from enum import StrEnum
from hashlib import sha256
from typing import TypeVar

from assay.records.consent import Purpose
from assay.records.errors import SplitError, explain
from assay.records.record import Record
from assay.storage.database import RecordStore
from assay.storage.permission import permission

R = TypeVar("R", bound=Record)


class SplitName(StrEnum):
    """The named splits."""

    TRAIN = "train"
    WATCH = "watch"
    HELD_OUT = "held_out"
    SEALED = "sealed"


TRAINING_SPLITS = frozenset({SplitName.TRAIN, SplitName.WATCH})


def assign_split(key: str, *, salt: str, shares: Sequence[tuple[SplitName, float]]) -> SplitName:
    """Split of one key (a prompt's identity), stable for a salt. `shares` are fractions that sum to one."""
    point = int.from_bytes(sha256(f"{salt}:{key}".encode()).digest()[:8], "big") / 2**64
    total = 0.0
    for name, share in shares:
        total += share
        if point < total:
            return name
    return shares[-1][0]


def purpose_of(split: SplitName) -> Purpose:
    """What the data of a split is for, as people are asked."""
    return "train" if split in TRAINING_SPLITS else "evaluate"


class TrainingView:
    """What training code is handed instead of the store: it opens `train` and `watch` and refuses the rest.

    Records of people who did not agree to training, or took them back, are left out.
    """

    def __init__(self, store: RecordStore) -> None:
        self._store = store

    def all(self, kind: type[R], split: SplitName) -> list[R]:
        """Records of one kind in one training split. Raises SplitError for any other split."""
        if split not in TRAINING_SPLITS:
            message = explain(
                expected=f"a training split ({', '.join(sorted(TRAINING_SPLITS))})",
                got=f"{str(split)!r}, asked for by training code",
                do="train on training splits; held-out and sealed data belong to evaluation",
            )
            raise SplitError(message)
        return permission(self._store, "train").of(self._store.all(kind, split=split))


class EvaluationView:
    """What evaluation code is handed: it opens held-out data, and sealed data when told so.

    Records of people who did not agree to evaluation, or took them back, are left out.
    """

    def __init__(self, store: RecordStore, *, may_open_sealed: bool = False) -> None:
        self._store = store
        self._allowed = {SplitName.HELD_OUT} | ({SplitName.SEALED} if may_open_sealed else set())

    def all(self, kind: type[R], split: SplitName) -> list[R]:
        """Records of one kind in one evaluation split. Raises SplitError for any other split."""
        if split not in self._allowed:
            got = f"{str(split)!r}, asked for by evaluation code"
            todo = "judge on held-out data; open the sealed set once, for a release"
            raise SplitError(explain(expected=f"one of {', '.join(sorted(self._allowed))}", got=got, do=todo))
        return permission(self._store, "evaluate").of(self._store.all(kind, split=split))
