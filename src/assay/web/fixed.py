"""Fixed parts of a judging page: what is the same for every item of a scheme. Takes a scheme, yields HTML, made once.

Half of what a page's template has to do is to write keys, scales and reasons, which differ from scheme to scheme alone.
"""

from collections.abc import Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import Any, NamedTuple

from jinja2 import Environment
from markupsafe import Markup

from assay.feedback.assignment import PassReason
from assay.feedback.schemes import Scheme
from assay.web.keys import keys_of, strips_of

REASONS: Mapping[PassReason, str] = MappingProxyType(
    {
        "not_my_field": "I do not know this field",
        "too_long": "It is too long",
        "language": "It is in a language I do not read well",
        "upsetting": "It upsets me",
        "personal_data": "It holds somebody's personal data",
        "broken": "It is broken or not readable",
        "other": "Another reason",
    }
)


class Fixed(NamedTuple):
    """HTML of the answer's buttons or scales, the fields of critiques, options, and the sheet of keys."""

    answering: Markup
    critiques: Markup
    places: Markup
    reasons: Markup
    sheet: Markup


def names_of(completions: int) -> list[str]:
    """What the answers on the screen are called, in their order."""
    letters = [f"Answer {letter}" for letter in "ABCDEFGHI"]
    return ["Left answer", "Right answer"] if completions == 2 else letters[:completions]


@lru_cache(maxsize=64)
def fixed_parts(pages: Environment, scheme: Scheme, *, completions: int) -> Fixed:
    """The fixed parts of the page of an item with so many completions."""
    write: Any = pages.get_template("fixed.html").module
    names, keys = names_of(completions), keys_of(scheme, completions=completions)
    strips = () if keys.is_direct else strips_of(scheme, keys, names=names)
    return Fixed(
        answering=write.answering(keys, strips),
        critiques=write.critiques(names, scheme),
        places=write.places(names),
        reasons=write.reasons(REASONS),
        sheet=write.sheet(keys),
    )
