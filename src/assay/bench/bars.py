"""Bars: a claim as a number: what was measured, what was promised, and whether it holds."""

from collections.abc import Sequence
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


def bars_as_json(bars: Sequence[Bar]) -> list[dict[str, object]]:
    """Every bar with its measured value, its threshold and whether it holds."""
    return [{**bar._asdict(), "holds": bar.holds} for bar in bars]
