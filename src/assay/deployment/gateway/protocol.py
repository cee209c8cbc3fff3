"""Protocol: what the gateway needs of whatever writes completions. Takes an ask, yields answers or pieces of text.

Nothing here needs torch; `gateway.engine` fulfils it with a language model, tests with a few lines.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, NamedTuple, Protocol

from assay.records.conversation import Prompt


@dataclass(frozen=True)
class Ask:
    """One prompt to complete `n` times. A `seed` of None means that the caller does not care for reproducibility."""

    prompt: Prompt
    max_tokens: int
    temperature: float = 1.0
    top_p: float = 1.0
    seed: int | None = None
    stop: tuple[str, ...] = ()
    n: int = 1


class Answer(NamedTuple):
    """One completion and how many tokens it took."""

    text: str
    finish_reason: Literal["stop", "length"]
    tokens: int


class Engine(Protocol):
    """Writes completions of one release. Safe to call from several threads; may raise, and is then taken for failed."""

    @property
    def context_length(self) -> int:
        """Most tokens of prompt and completion together."""
        ...

    def count_tokens(self, prompt: Prompt) -> int:
        """Tokens of a prompt."""
        ...

    def count_text(self, text: str) -> int:
        """Tokens of a completion."""
        ...

    def complete(self, ask: Ask) -> list[Answer]:
        """`ask.n` completions."""
        ...

    def stream(self, ask: Ask) -> Iterator[str]:
        """One completion, piece by piece."""
        ...


class Engines(Protocol):
    """Engines by release id; a plain dict is one. May load an engine at the first look-up."""

    def __getitem__(self, release: str, /) -> Engine:
        """The engine of a release. Raises where there is none or it cannot be loaded."""
        ...
