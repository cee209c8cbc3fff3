"""Profile: how somebody wants an assistant to answer them, in versions; and the floor beneath all profiles."""

from collections.abc import Sequence
from typing import ClassVar, Literal, get_args

from assay.records.record import Record, Value, digest

Caution = Literal["usual", "careful", "strict"]
Detail = Literal["brief", "usual", "thorough"]
Tone = Literal["plain", "warm", "formal"]
Topic = Literal["violence", "self_harm", "sexual", "hate", "medical", "legal", "politics"]

CAUTIONS: Sequence[Caution] = get_args(Caution)
"""Least careful first."""
TOPICS: Sequence[Topic] = get_args(Topic)


class Settings(Value):
    """What a person wants: how careful, how long, in which tone, and what an assistant shall keep away from."""

    caution: Caution = "usual"
    detail: Detail = "usual"
    tone: Tone = "plain"
    avoided: tuple[Topic, ...] = ()
    """In the order of `TOPICS`."""

    @property
    def version(self) -> str:
        """The same for the same settings, whoever has them: the first twelve digits of their hash."""
        return digest(self.model_dump(mode="json"))[:12]


class Floor(Record):
    """What no profile goes below; a later one may only be higher."""

    kind: ClassVar[str] = "profile_floor"
    caution: Caution = "usual"
    avoided: tuple[Topic, ...] = ()
    by: str
    previous: str | None = None


class Profile(Record):
    """The settings of one person from now on. They are sealed, for what somebody keeps away from tells of them."""

    kind: ClassVar[str] = "profile"
    personal: ClassVar[tuple[str, ...]] = ("settings",)
    annotator: str
    settings: Settings | None = None
    """None: erased."""
    previous: str | None = None

    @property
    def seal_scope(self) -> str:
        """One for all profiles of a person."""
        return self.kind


def raised(settings: Settings, floor: Floor | None) -> Settings:
    """Settings lifted to a floor where they lie below it."""
    if floor is None:
        return settings
    caution = max(settings.caution, floor.caution, key=CAUTIONS.index)
    avoided = tuple(topic for topic in TOPICS if topic in settings.avoided or topic in floor.avoided)
    return settings.model_copy(update={"caution": caution, "avoided": avoided})


def is_higher(floor: Floor, before: Floor | None) -> bool:
    """Whether a floor lies nowhere below the one before."""
    return before is None or (
        CAUTIONS.index(floor.caution) >= CAUTIONS.index(before.caution) and set(before.avoided) <= set(floor.avoided)
    )
