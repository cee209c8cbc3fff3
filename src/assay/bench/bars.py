"""Bars: a claim as a number: what was measured, what was promised, and whether it holds."""

from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple


class Bar(NamedTuple):
    """One claim. `measured` None means that it was not measured, which falls short like any miss."""

    name: str
    measured: float | None
    threshold: float
    direction: Literal["at_least", "at_most"]
    unit: str = ""

    @property
    def holds(self) -> bool:
        """Whether the claim is kept."""
        if self.measured is None:
            return False
        return self.measured >= self.threshold if self.direction == "at_least" else self.measured <= self.threshold

    @property
    def required(self) -> str:
        """The threshold for people."""
        sign = ">=" if self.direction == "at_least" else "<="
        return f"{sign} {self.threshold:g} {self.unit}".strip()


def bars_as_json(
    name: str, bars: Sequence[Bar], *, is_quick: bool, details: Mapping[str, object] | None = None
) -> dict[str, object]:
    """A benchmark's outcome as plain data: its name, every bar with whether it holds, and what else it measured.

    The figures of a quick run are no claim; whoever reads the file must see that it was one.
    """
    rows = [{**bar._asdict(), "holds": bar.holds} for bar in bars]
    return {"benchmark": name, "is_quick": is_quick, "bars": rows, **(details or {})}
