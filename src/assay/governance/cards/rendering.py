"""Rendering: turns facts into a card by its template, and refuses a card that has a gap. Takes facts, yields Markdown.

A fact that does not exist is a sentence in the template, never an empty place: a missing name, a None or a number that
is not finite is an error.
"""

import math
import re

from jinja2 import Environment, PackageLoader, StrictUndefined, TemplateError

from assay.records.errors import GovernanceError, explain

_PLACEHOLDERS = re.compile(
    r"more information (?:is )?needed|needs? more information|\btodo\b|\btbd\b|\btba\b|\bfixme\b|\bn/a\b|\bxxx+\b"
    r"|lorem ipsum|\bplaceholder\b|not yet (?:known|written)|fill (?:me )?in\b|\bundefined\b|\{\{|\}\}|\{%|%\}"
    r"|\[\s*\.\.\.\s*\]|\[insert\b|<insert\b",
    re.IGNORECASE,
)


def render(template: str, facts: dict[str, object]) -> str:
    """A card's text. Raises GovernanceError when the template asks for a fact that is not there."""
    try:
        text = _environment.get_template(template).render(facts)
    except TemplateError as error:
        raise _gap(template, str(error)) from error
    return refuse_placeholders(re.sub(r"\n{3,}", "\n\n", text).strip() + "\n")


def refuse_placeholders(text: str) -> str:
    """The text, unchanged. Raises GovernanceError that lists every place where a fact is still to be filled in."""
    found = [
        f"line {number}: {match.group(0)!r}"
        for number, line in enumerate(text.splitlines(), start=1)
        for match in _PLACEHOLDERS.finditer(line)
    ]
    if found:
        raise _gap("the card", "; ".join(found))
    return text


def _written(value: object) -> str:
    """A value as Markdown text: numbers to four digits, text on one line with nothing that a reader would execute."""
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        raise GovernanceError(
            explain(expected="a fact for every place in a card", got=repr(value), do="write a sentence for its absence")
        )
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.4g}"
    text = " ".join(str(value).split())
    return text.replace("&", "&amp;").replace("<", "&lt;").replace("|", "\\|").replace("`", "'").replace("[", "\\[")


def _sentence(value: object) -> str:
    """Text with exactly one full stop at its end."""
    return f"{str(value).strip().rstrip('.')}."


def _gap(where: str, got: str) -> GovernanceError:
    todo = "record the fact, or write a sentence for its absence"
    return GovernanceError(explain(expected=f"{where} without gaps", got=got, do=todo))


_environment = Environment(
    loader=PackageLoader("assay.governance.cards"),
    undefined=StrictUndefined,
    finalize=_written,
    trim_blocks=True,
    lstrip_blocks=True,
    keep_trailing_newline=True,
    autoescape=False,  # noqa: S701 - Markdown, not HTML; `_written` escapes what both would act on
)
_environment.filters["sentence"] = _sentence
