"""Record: the frozen, content-hashed base of everything that rooms exchange.

A record is never edited; a correction is a new record that points back. Its identity is the SHA-256 of its content
without `created_at` and without fields that are None: the same work done twice has the same identity, and a field that
a later version adds changes no identity of before, as long as it may be None and is None where nobody set it.
"""

import hashlib
import json
from collections.abc import Mapping
from datetime import datetime
from functools import cached_property
from typing import Annotated, Any, ClassVar, Self

from pydantic import AfterValidator, BaseModel, ConfigDict


def _aware(value: datetime) -> datetime:
    if value.tzinfo is None:
        raise ValueError("a timestamp needs a time zone; pass an aware UTC datetime")
    return value


UtcTime = Annotated[datetime, AfterValidator(_aware)]


def canonical_json(value: Any) -> bytes:
    """Serialise plain data to the one byte string that is hashed: sorted keys, no spaces, UTF-8, no NaN.

    Raises ValueError when the data holds NaN or infinity.
    """
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return text.encode("utf-8", "surrogatepass")


def digest(value: Any) -> str:
    """SHA-256 (hex) of plain data in canonical form."""
    return hashlib.sha256(canonical_json(value)).hexdigest()


class Value(BaseModel):
    """A frozen part of a record, with no identity of its own."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Record(Value):
    """A frozen, versioned noun; `id` is its content hash, `kind` its name in storage."""

    kind: ClassVar[str]
    personal: ClassVar[tuple[str, ...]] = ()
    """Fields in which somebody wrote or told of themselves; a workspace seals them (`storage.sealing`)."""
    schema_version: int = 1
    created_at: UtcTime

    @cached_property
    def id(self) -> str:
        """SHA-256 (hex) of the kind and the content, without any `created_at` and any field that is None."""
        return digest({"kind": self.kind, "body": _timeless(self.model_dump(mode="json"))})

    @property
    def seal_scope(self) -> str | None:
        """What a person's key for the `personal` fields is good for, such as a campaign; None: they stay open."""
        return None

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """A copy, changed where asked, with an identity of its own."""
        copied = super().model_copy(update=update, deep=deep)
        copied.__dict__.pop("id", None)  # pydantic copies what was cached too
        return copied

    @property
    def short_id(self) -> str:
        """The first twelve digits of the identity, for people."""
        return self.id[:12]


def _timeless(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _timeless(item) for key, item in value.items() if key != "created_at" and item is not None}
    if isinstance(value, list):
        return [_timeless(item) for item in value]
    return value
