"""Forms: what a page of the annotation site sends. Takes form fields, yields an answer in terms of the screen.

Fields: `overall`, `attr.NAME`, `rate.NAME.PLACE`, `rank.PLACE`, `critique.N.{place,quote,category,severity,comment}`,
`edit` with `edit_place`, `reason`, `active_s`. Empty critiques are left out; anything that is no value is refused.
"""

import re
from collections.abc import Mapping

from pydantic import ValidationError

from assay.feedback import Said
from assay.records.errors import InputError, explain

_RATE = re.compile(r"rate\.([a-z][a-z0-9_]*)\.(\d)")
_RANK = re.compile(r"rank\.(\d)")
_CRITIQUE = re.compile(r"critique\.(\d{1,2})\.quote")


def said_from(fields: Mapping[str, str]) -> Said:
    """The answer in a form. Raises InputError where a field holds no such value."""
    ratings: dict[str, dict[int, str]] = {}
    ranks: dict[int, str] = {}
    for name, value in fields.items():
        if rate := _RATE.fullmatch(name):
            ratings.setdefault(rate[1], {})[int(rate[2])] = value
        elif rank := _RANK.fullmatch(name):
            ranks[int(rank[1])] = value
    try:
        return Said.model_validate(
            {
                "overall": fields.get("overall") or None,
                "attributes": {name[5:]: value for name, value in fields.items() if name.startswith("attr.")},
                "ratings": ratings,
                "ranks": [ranks[place] for place in sorted(ranks)],
                "critiques": _critiques(fields),
                "edit": fields.get("edit", ""),
                "edit_place": fields.get("edit_place") or 0,
                "reason": fields.get("reason", ""),
                "time_on_task_s": seconds(fields.get("active_s", "")),
            }
        )
    except ValidationError as error:
        faults = [f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors()]
        raise InputError(
            explain(expected="a whole form", got="other values", do="send the page's own"), faults
        ) from error


def seconds(text: str) -> float | None:
    """The number in a hidden field, or None; what is credible is for the campaign to say."""
    try:
        return float(text)
    except ValueError:
        return None


def _critiques(fields: Mapping[str, str]) -> list[dict[str, str]]:
    numbers = [found[1] for name in fields if (found := _CRITIQUE.fullmatch(name))]
    parts = ("place", "quote", "category", "severity", "comment")
    given = [{part: fields.get(f"critique.{n}.{part}", "") for part in parts} for n in sorted(numbers, key=int)]
    return [one for one in given if one["quote"].strip() or one["comment"].strip()]
