"""Keys: the one registry that feeds buttons, badges, the help sheet and the script. Takes a scheme, yields its keys."""

from collections.abc import Sequence
from typing import NamedTuple

from assay.feedback.schemes import Scheme


class Key(NamedTuple):
    """One key, the value or part of the page that it reaches, what its button says, what is said once it is stored."""

    key: str
    value: str
    label: str
    stored: str = ""

    @property
    def badge(self) -> str:
        """What stands on the key."""
        return "Enter" if self.key == "enter" else self.key.upper()


FIVE_STEPS = (
    Key("1", "left_much", "Left is much better", "left is much better"),
    Key("2", "left", "Left is better", "left is better"),
    Key("3", "tie", "Equally good", "equally good"),
    Key("4", "right", "Right is better", "right is better"),
    Key("5", "right_much", "Right is much better", "right is much better"),
)
THREE_STEPS = (
    Key("1", "left", "Left is better", "left is better"),
    Key("2", "right", "Right is better", "right is better"),
    Key("3", "tie", "Equally good", "equally good"),
)
BOTH_BAD = Key("b", "both_bad", "Both are bad", "both are bad")
CANNOT_JUDGE = Key("x", "cannot_judge", "I cannot judge", "cannot judge")
SUBMIT = Key("enter", "submit", "Submit", "your answer")
UNDO = Key("u", "undo", "Undo last answer")
CRITIQUE = Key("c", "critique", "Mark a passage")
EDIT = Key("e", "edit", "Improve an answer")
PASS = Key("s", "pass", "Skip or flag this")
FLAG = Key("f", "flag", "Skip and flag for review")
REASON = Key("r", "reason", "Why you cannot judge")
AWAY = Key("p", "away", "Step away")
HELP = Key("?", "help", "Help and keys")


class Keys(NamedTuple):
    """The keys of one scheme: steps of a comparison, other answers, and what else the page can do."""

    steps: tuple[Key, ...]
    others: tuple[Key, ...]
    tools: tuple[Key, ...]
    is_direct: bool
    """Whether an answer key submits at once; else it fills a strip and Enter submits."""


def keys_of(scheme: Scheme, *, completions: int = 2) -> Keys:
    """The keys that work on a page of this scheme."""
    steps = () if scheme.task == "ranking" else FIVE_STEPS if scheme.has_strength else THREE_STEPS
    others = (CANNOT_JUDGE,) if scheme.task == "ranking" else (BOTH_BAD, CANNOT_JUDGE)
    tools = [UNDO, PASS, FLAG, REASON]
    tools += [CRITIQUE] if scheme.allows_critique and completions == 2 else []
    tools += [EDIT] if scheme.allows_edit else []
    return Keys(steps, others, (*tools, AWAY, HELP), not scheme.attributes and scheme.task == "comparison")


class Strip(NamedTuple):
    """One question of a page: its title, the field that it fills, and values with what they say."""

    title: str
    field: str
    steps: tuple[tuple[str, str], ...]


def strips_of(scheme: Scheme, keys: Keys, *, names: Sequence[str]) -> list[Strip]:
    """The questions of a page in order: attributes, then the choice or the ranks. `names` are those of the answers."""
    leans = tuple((key.value, key.label) for key in keys.steps)
    strips = [Strip(one.title, f"attr.{one.name}", leans) for one in scheme.attributes if one.kind == "comparison"]
    for one in scheme.attributes:
        places = tuple((step.value, step.label) for step in one.places)
        if one.kind != "comparison":
            fields = [(name, f"rate.{one.name}.{place}") for place, name in enumerate(names)]
            strips += [Strip(f"{one.title}: {name}", field, places) for name, field in fields]
    if scheme.task == "comparison":
        return [*strips, Strip("Overall", "overall", (*leans, (BOTH_BAD.value, BOTH_BAD.label)))]
    ranks = tuple((str(rank), "best" if rank == 1 else "") for rank in range(1, len(names) + 1))
    return [*strips, *(Strip(f"Rank of {name}", f"rank.{place}", ranks) for place, name in enumerate(names))]


def notice_of(value: str) -> str:
    """What is said once an answer is stored; empty for a value that is none."""
    for key in (*FIVE_STEPS, BOTH_BAD, CANNOT_JUDGE, SUBMIT):
        if key.value == value:
            return f"Stored: {key.stored}."
    return _NOTICES.get(value, "")


_NOTICES = {
    "undone": "Your last answer was taken back.",
    "passed": "Skipped. Somebody else may get it.",
    "flagged": "Skipped, and a reviewer will look at it.",
    "rested": "Welcome back.",
    "gone": "That pair had gone to somebody else meanwhile; nothing of yours was counted.",
    "lost": "Your last answer could not be stored. Please give it again.",
}
