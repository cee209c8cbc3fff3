"""Folds: which judgements train and which judge, apart by prompt and by annotator.

A prompt belongs to one split. Where a panel has at least three annotators, some of them are held out: they judge what
training made and never train it. A judgement that would cross (a held-out annotator on a training prompt, or a training
annotator on a held-out prompt) goes to the split `unused`, which nobody reads.

Catches: the same prompt or the same annotator on both sides. Does not catch: one person under two names, two prompts
that say nearly the same, and annotators called `unknown`, who go by the prompt alone.
"""

from collections.abc import Collection, Mapping
from hashlib import sha256
from typing import Annotated, ClassVar, Literal, NamedTuple, Self

from pydantic import Field, model_validator

from assay.feedback.formats.pairs import UNKNOWN_ANNOTATOR
from assay.records.conversation import Prompt, prompt_id
from assay.records.errors import ConfigError, explain
from assay.records.judgement import Demonstration, Judgement
from assay.records.record import Record, Value
from assay.storage import RecordStore, SplitName
from assay.storage.splits import TRAINING_SPLITS, assign_split

UNUSED = "unused"
SMALLEST_PANEL = 3
HELD_OUT_SHARE = 0.25


HeldOut = Annotated[tuple[str, ...], Field(min_length=1)] | Literal["auto", "none"]


class Shares(Value):
    """Shares of the prompts; they sum to one."""

    train: float = Field(default=0.7, ge=0)
    watch: float = Field(default=0.1, ge=0)
    held_out: float = Field(default=0.15, ge=0)
    sealed: float = Field(default=0.05, ge=0)

    @model_validator(mode="after")
    def _sum_to_one(self) -> Self:
        total = self.train + self.watch + self.held_out + self.sealed
        if abs(total - 1) > 1e-9:
            raise ValueError(f"the shares of the splits sum to {total:g}, not to 1")
        return self


class Folds(Value):
    """How data is divided."""

    salt: str = "assay"
    """Another salt divides the same prompts otherwise."""
    shares: Shares = Shares()
    """Shares of the prompts in each split."""
    held_out_annotators: HeldOut = "auto"
    """Who is held out: names, a quarter chosen by hash (`auto`), or nobody (`none`)."""

    def split_of(self, prompt: Prompt) -> SplitName:
        """The split of a prompt, by its identity."""
        shares = [(name, getattr(self.shares, name.value)) for name in SplitName]
        return assign_split(prompt_id(prompt), salt=self.salt, shares=shares)


def held_out_from(text: str) -> HeldOut:
    """`auto`, `none`, or names with commas between. Raises ConfigError when no name is left."""
    if text == "auto":
        return "auto"
    if text == "none":
        return "none"
    names = tuple(name.strip() for name in text.split(",") if name.strip())
    if not names:
        raise ConfigError(explain(expected="auto, none or annotators to hold out", got=repr(text), do="name them"))
    return names


class AnnotatorFold(Record):
    """On which side an annotator of a divided panel stands, for ever."""

    kind: ClassVar[str] = "annotator_fold"
    annotator: str
    is_held_out: bool


class Placed(NamedTuple):
    """Who stands where: known and new sides by annotator (absent: by prompt alone)."""

    known: Mapping[str, bool]
    new: Mapping[str, bool]

    def is_held_out(self, annotator: str) -> bool | None:
        """The side of an annotator; None where the panel is not divided."""
        return self.known.get(annotator, self.new.get(annotator))


def place(prompt_split: SplitName, is_held_out: bool | None) -> str:
    """Where a judgement is stored: the prompt's split, or `unused` where annotator and prompt stand apart."""
    if is_held_out is None or is_held_out != (prompt_split in TRAINING_SPLITS):
        return prompt_split.value
    return UNUSED


def divide_panel(records: RecordStore, annotators: Collection[str], *, folds: Folds) -> Placed:
    """Sides of these annotators. A side once stored stays, and nobody who trained is held out later.

    Raises ConfigError when a named annotator does not occur, or has trained already.
    """
    known = {fold.annotator: fold.is_held_out for fold in records.all(AnnotatorFold)}
    new = sorted(set(annotators) - known.keys() - {UNKNOWN_ANNOTATOR})
    trained = {name for name in new if _has_trained(records, name)}
    trained |= {name for name, is_held_out in known.items() if not is_held_out}
    if isinstance(folds.held_out_annotators, tuple):
        held_out = _named(folds.held_out_annotators, panel=set(annotators) | known.keys(), trained=trained)
    elif folds.held_out_annotators == "none" or len(new) + len(known) < SMALLEST_PANEL:
        return Placed(known, {})
    else:
        wanted = max(1, round(HELD_OUT_SHARE * (len(new) + len(known)))) - sum(known.values())
        free = sorted((name for name in new if name not in trained), key=lambda name: _point(folds.salt, name))
        held_out = set(free[: max(0, wanted)])
    return Placed(known, {name: name in held_out for name in new})


def side_of_newcomer(records: RecordStore, annotator: str, *, folds: Folds) -> Placed:
    """The side of someone who joins while a campaign runs: the panel is not known yet, so `auto` is one in four."""
    known = records.latest(AnnotatorFold, subject=annotator)
    if known is not None:
        return Placed({annotator: known.is_held_out}, {})
    if folds.held_out_annotators == "none" or annotator == UNKNOWN_ANNOTATOR:
        return Placed({}, {})
    if isinstance(folds.held_out_annotators, tuple):
        is_chosen = annotator in folds.held_out_annotators
    else:
        is_chosen = _point(folds.salt, annotator) < HELD_OUT_SHARE
    return Placed({}, {annotator: is_chosen and not _has_trained(records, annotator)})


def splits_of_prompts(records: RecordStore, prompts: Collection[Prompt], *, folds: Folds) -> dict[str, SplitName]:
    """Split of each prompt by identity; a prompt that is stored already keeps its split, whatever the salt."""
    splits = {prompt_id(prompt): folds.split_of(prompt) for prompt in prompts}
    for name in SplitName:
        stored = {judgement.prompt_id for judgement in records.all(Judgement, split=name.value)}
        stored |= {demonstration.prompt_id for demonstration in records.all(Demonstration, split=name.value)}
        splits |= dict.fromkeys(stored & splits.keys(), name)
    return splits


def _named(names: tuple[str, ...], *, panel: Collection[str], trained: Collection[str]) -> set[str]:
    absent = sorted(set(names) - set(panel))
    late = sorted(set(names) & set(trained))
    if absent or late:
        faults = [f"{name!r} does not occur" for name in absent] + [f"{name!r} has trained already" for name in late]
        expected = f"annotators to hold out among {', '.join(sorted(panel))}"
        raise ConfigError(explain(expected=expected, got="; ".join(faults), do="name others, or use auto"))
    return set(names)


def _has_trained(records: RecordStore, annotator: str) -> bool:
    return any(
        records.count(kind, split=split.value, subject=annotator)
        for kind in (Judgement, Demonstration)
        for split in TRAINING_SPLITS
    )


def _point(salt: str, annotator: str) -> float:
    return int.from_bytes(sha256(f"{salt}:annotator:{annotator}".encode()).digest()[:8], "big") / 2**64
