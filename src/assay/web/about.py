"""About page: what people tell of themselves, if they like, and whether it may show where groups judge differently.

The rules live in `assay.feedback.panels` and `assay.feedback.group_consent`.
"""

import secrets

from fastapi import APIRouter, Response
from fastapi.responses import HTMLResponse, RedirectResponse

from assay.feedback.group_consent import GROUPS, agrees, declare
from assay.feedback.panels import panel_of, told_by
from assay.web.site import Fields, MaybeVisitor, NotEnteredError, Site, TheSite, Visitor, shared, their_campaigns

router = APIRouter(default_response_class=HTMLResponse)


@router.get("/about-you")
def about(visitor: MaybeVisitor, site: TheSite, said: str = "") -> Response:
    """What the campaigns of a person ask about them; nothing is chosen or ticked beforehand."""
    if visitor is None:
        raise NotEnteredError
    values = {"asked": _asked(site, visitor), "told": told_by(site.records, visitor.name), "groups": GROUPS}
    ticked = {"for_groups": agrees(site.records, visitor.name), "is_stored": said == "stored"}
    return site.page("about.html", {**shared(visitor), **values, **ticked})


@router.post("/about-you")
def store(visitor: MaybeVisitor, site: TheSite, fields: Fields) -> Response:
    """Store what a person tells and what it may be used for; what they leave out is not known from then on."""
    if visitor is None:
        raise NotEnteredError
    asked = _asked(site, visitor)
    if not asked:
        return RedirectResponse("/about-you", status_code=303)
    values = {trait: fields[f"trait.{trait}"] for trait in asked if fields.get(f"trait.{trait}")}
    declare(
        site.records,
        visitor.name,
        values,
        asked=asked,
        for_groups=fields.get("groups") == "yes",
        salt=secrets.token_hex(16),
        now=site.clock(),
    )
    return RedirectResponse("/about-you?said=stored", status_code=303)


def _asked(site: Site, visitor: Visitor) -> dict[str, list[str]]:
    """Traits with the answers to choose from, of all campaigns that a person may judge, and what they told before.

    What nobody asks any more stays on the page until they take it back.
    """
    asked: dict[str, list[str]] = {}
    for name in their_campaigns(site, visitor, "judge"):
        panel = panel_of(site.records, name)
        for trait, values in panel.traits.items() if panel else ():
            asked[trait] = list(dict.fromkeys([*asked.get(trait, []), *values]))
    for trait, value in told_by(site.records, visitor.name).items():
        asked[trait] = list(dict.fromkeys([*asked.get(trait, []), value]))
    return asked
