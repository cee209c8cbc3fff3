"""KL coefficient: the strength of the pull towards the reference, which monitors may ask to raise.

It enters the loss and no reward. A run's own is its task's `kl_coef`; where a method calls it beta, it is the beta.
"""

from typing import NamedTuple

from assay.records.errors import ConfigError, explain


class KlRaise(NamedTuple):
    """The coefficient before and after somebody asked to raise it; equal where it may rise no further."""

    before: float
    after: float

    @property
    def said(self) -> str:
        """What happened, in a sentence."""
        if self.after > self.before:
            return f"the KL coefficient went from {self.before:g} to {self.after:g}"
        return f"the KL coefficient stays at {self.before:g}, the most that it may become"


class KlCoef:
    """A coefficient that rises by `factor` when asked to, to at most `limit` times what it began with; never falls.

    Raises ConfigError for a coefficient below zero, a factor that does not raise, or a limit below one.
    """

    def __init__(self, value: float, *, factor: float, limit: float) -> None:
        if value < 0 or factor <= 1 or limit < 1:
            got = f"coefficient {value:g}, factor {factor:g}, limit {limit:g}"
            do = "mend the settings of the raise"
            raise ConfigError(explain(expected="a coefficient >= 0, a factor > 1, a limit >= 1", got=got, do=do))
        self.value = value
        self._factor, self._largest = factor, value * limit

    def raise_once(self) -> KlRaise:
        """Multiply by the factor, as far as the limit allows."""
        before = self.value
        self.value = max(before, min(before * self._factor, self._largest))
        return KlRaise(before, self.value)
