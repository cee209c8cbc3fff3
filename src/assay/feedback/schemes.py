"""Schemes: what a campaign asks of a person, declared in a file and versioned by content.

A scheme asks for a comparison of two completions or for a ranking of several, and beside it for attributes of three
kinds: `comparison` (which is better, in five steps), `scale` and `amount` (each completion's own place, such as too
little, right, too much).
"""

import re
from datetime import datetime
from pathlib import Path
from typing import Annotated, ClassVar, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from assay.feedback.declared import read_declared
from assay.records.record import Record, Value
from assay.storage import RecordStore

_NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")


def _plain(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise ValueError(f"{name!r} is no name: small letters, digits and underscores, at most 40")
    return name


Name = Annotated[str, AfterValidator(_plain)]


class Step(Value):
    """One place on a scale."""

    value: Name
    label: str = Field(min_length=1, max_length=60)


AMOUNT = (
    Step(value="too_little", label="Too little"),
    Step(value="right", label="Just right"),
    Step(value="too_much", label="Too much"),
)


class Attribute(Value):
    """One quality that people judge beside the overall choice."""

    name: Name
    title: str = Field(min_length=1, max_length=80)
    kind: Literal["comparison", "scale", "amount"] = "comparison"
    steps: tuple[Step, ...] = ()
    """Places of a scale, lowest first; an amount has three of its own."""

    @model_validator(mode="after")
    def _steps_fit(self) -> Self:
        values = [step.value for step in self.steps]
        if len(set(values)) < len(values):
            raise ValueError(f"{self.name}: two steps have one value")
        if self.kind == "scale" and not 2 <= len(values) <= 9:
            raise ValueError(f"{self.name}: a scale has 2 to 9 steps")
        if self.kind != "scale" and values:
            raise ValueError(f"{self.name}: only a scale declares steps")
        return self

    @property
    def places(self) -> tuple[Step, ...]:
        """What one completion may be given."""
        return AMOUNT if self.kind == "amount" else self.steps


class Scheme(Record):
    """What is asked. Its version is its identity: any changed word makes another scheme."""

    kind: ClassVar[str] = "scheme"
    name: Name
    task: Literal["comparison", "ranking"] = "comparison"
    question: str = "Which answer is better?"
    help: str = (
        "Choose the answer that you would rather get. Read both to the end before you choose. Longer is not better in "
        "itself."
    )
    attributes: tuple[Attribute, ...] = ()
    has_strength: bool = True
    """Whether a choice says by how much, in five steps."""
    critique_categories: tuple[Name, ...] = ("wrong", "harmful", "off_topic", "unclear", "style", "good", "other")
    allows_critique: bool = True
    allows_edit: bool = True
    rendering: Literal["markdown", "plain"] = "markdown"
    hidden_names: tuple[str, ...] = ()
    """Names that are never shown, such as those of the models compared."""

    @model_validator(mode="after")
    def _attributes_fit(self) -> Self:
        names = [attribute.name for attribute in self.attributes]
        if len(set(names)) < len(names) or "overall" in names:
            raise ValueError("attributes need different names, and none is called overall")
        if self.task == "ranking" and any(attribute.kind == "comparison" for attribute in self.attributes):
            raise ValueError("a ranking compares already; its attributes are scales or amounts")
        return self


def read_scheme(path: Path, *, now: datetime) -> Scheme:
    """A scheme from YAML or JSON. Raises InputError with every fault."""
    return read_declared(path, Scheme, what="a scheme", created_at=now)


def stored_scheme(records: RecordStore, identity: str | None, *, now: datetime) -> Scheme:
    """The scheme of this identity, or the plain comparison where a campaign declares none."""
    if identity is None:
        fields = {"name": "comparison", "allows_critique": False, "allows_edit": False, "has_strength": False}
        return Scheme.model_validate({**fields, "created_at": now})
    return records.get(Scheme, identity)
