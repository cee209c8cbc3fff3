"""Row: one line under reading. Gives typed fields and gathers the faults and notes found on the way."""

import math
from collections.abc import Mapping, Sequence

from pydantic import ValidationError

from assay.records.conversation import Message, Prompt

ROLES = ("system", "user", "assistant")
MAX_NAME = 80


class Row:
    """The fields of one line. Reading goes on after a fault, so that a line tells all of its faults at once."""

    def __init__(self, fields: Mapping[str, object]) -> None:
        self.fields = fields
        self.faults: list[str] = []
        self.notes: list[str] = []

    def text(self, name: str, *, may_be_empty: bool = False) -> str:
        """A field of text. An empty one is a fault, or a note where models are known to return nothing."""
        value = self.fields.get(name)
        if value is None:
            self.faults.append(f"field {name!r} is missing")
        elif not isinstance(value, str):
            self.faults.append(f"field {name!r} is {type(value).__name__}, not text")
        elif not value.strip() and not may_be_empty:
            self.faults.append(f"{name} is empty")
        else:
            return value
        return ""

    def messages(self, name: str) -> Prompt:
        """A field that is a list of role and content messages."""
        value = self.fields.get(name)
        if not isinstance(value, list) or not value:
            self.faults.append(f"field {name!r} is not a list of messages")
            return ()
        return tuple(message for item in value if (message := self._message(name, item)))

    def _message(self, name: str, item: object) -> Message | None:
        if not isinstance(item, dict) or not isinstance(item.get("content"), str):
            self.faults.append(f"{name} holds a message without role and content")
            return None
        try:
            return Message(role=item.get("role"), content=item["content"])
        except ValidationError:
            self.faults.append(f"{name} holds the role {item.get('role')!r}; known are {', '.join(ROLES)}")
            return None

    def prompt(self, name: str = "prompt") -> Prompt:
        """A prompt as text (one user message) or as messages; one without any words is a fault."""
        if isinstance(self.fields.get(name), list):
            prompt = self.messages(name)
            if prompt and not any(message.content.strip() for message in prompt):
                self.faults.append(f"{name} is empty")
            return prompt
        text = self.text(name)
        return (Message(role="user", content=text),) if text else ()

    def inside(self, name: str) -> "Row":
        """The fields of a field that holds fields; faults and notes are those of this row."""
        value = self.fields.get(name)
        if not isinstance(value, dict):
            self.faults.append(f"field {name!r} does not hold fields")
        inner = Row(value if isinstance(value, dict) else {})
        inner.faults, inner.notes = self.faults, self.notes
        return inner

    def name(self, field: str, value: object) -> str:
        """A person's label, or a fault."""
        text = str(value) if isinstance(value, str | int) and not isinstance(value, bool) else ""
        if fault := name_fault(text):
            self.faults.append(f"{field} {value!r} is no label: {fault}")
        return text

    def one_answer(self, name: str, messages: Sequence[Message], *, after: str = "") -> str:
        """The text of what must be one assistant message; `after` says where it was looked for."""
        if not messages and self.faults:
            return ""
        if len(messages) != 1 or messages[0].role != "assistant":
            self.faults.append(f"{after}{name} is not one assistant message")
            return ""
        if not messages[0].content.strip():
            self.faults.append(f"{name} is empty")
        return messages[0].content

    def differing(self, first: str, second: str) -> None:
        """Fault two completions that are the same."""
        if first == second and not self.faults:
            self.faults.append("both completions are the same")

    def finite(self, name: str) -> None:
        """Fault a number that is too large to be one."""
        value = self.fields.get(name)
        if isinstance(value, float) and not math.isfinite(value):
            self.faults.append(f"{name} is not a finite number")


def name_fault(name: str) -> str | None:
    """What is wrong with a person's label, or None: 1 to 80 printable characters, no space at the ends."""
    if not name.strip():
        return "it is empty"
    if len(name) > MAX_NAME:
        return f"it has {len(name)} characters, at most {MAX_NAME}"
    if name != name.strip() or not name.isprintable():
        return "it has spaces at its ends or characters that cannot be printed"
    return None
