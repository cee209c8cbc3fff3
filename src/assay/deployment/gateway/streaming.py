"""Streaming: lets a completion out piece by piece, but only text that the output layers have seen.

The newest `window` characters are always held back, since a layer may yet need to change them: half an e-mail address
looks harmless. Every `step` characters, or every sixteenth of a long text (so that all checks together cost no more
than some seventeen of the whole), the text so far is checked again and what has left the window goes out.
When a layer would change text that is already out, the stream ends as blocked: what was said cannot be unsaid.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from assay.deployment.layers.private_data import REACH
from assay.deployment.layers.stack import REFUSAL, StackVerdict

WINDOW = REACH
STEP = 40


class Released(NamedTuple):
    """Text to send, and the verdict it rests on. `is_blocked` ends the stream; the text then is the refusal."""

    text: str
    verdict: StackVerdict
    is_blocked: bool = False


def checked_pieces(
    pieces: Iterable[str], check: Callable[[str], StackVerdict], *, window: int = WINDOW, step: int = STEP
) -> Iterator[Released]:
    """Yield checked text; the last one rests on a check of the whole completion.

    Pieces that are not drawn because the stream was blocked are left to whoever made the iterator.
    """
    raw, sent, checked = "", "", 0
    for piece in pieces:
        raw += piece
        if len(raw) - max(checked, window) >= max(step, len(raw) // 16):
            checked = len(raw)
            released = _released(check(raw), sent, window)
            sent += released.text
            if released.text:
                yield released
            if released.is_blocked:
                return
    yield _released(check(raw), sent, 0)


def _released(verdict: StackVerdict, sent: str, window: int) -> Released:
    gap = "\n\n" if sent else ""
    if verdict.is_blocked:
        return Released(gap + (verdict.text or REFUSAL), verdict, is_blocked=True)
    text = verdict.completion or ""
    if not text.startswith(sent):
        return Released(gap + REFUSAL, verdict, is_blocked=True)
    return Released(text[len(sent) : max(len(sent), len(text) - window)], verdict)
