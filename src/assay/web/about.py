"""About page: what people tell of themselves, if they like. The rules live in `assay.feedback.panels`."""

from fastapi import APIRouter, Response
from fastapi.responses import HTMLResponse, RedirectResponse

from assay.feedback.panels import panel_of, tell, told_by
from assay.web.site import Fields, MaybeVisitor, NotEnteredError, Site, TheSite, Visitor, shared, their_campaigns

router = APIRouter(default_response_class=HTMLResponse)


@router.get("/about-you")
def about(visitor: MaybeVisitor, site: TheSite, said: str = "") -> Response:
    """What the campaigns of a person ask about them; nothing is chosen beforehand."""
    if visitor is None:
        raise NotEnteredError
    values = {"asked": _asked(site, visitor), "told": told_by(site.records, visitor.name)}
    return site.page("about.html", {**shared(visitor), **values, "is_stored": said == "stored"})


@router.post("/about-you")
def store(visitor: MaybeVisitor, site: TheSite, fields: Fields) -> Response:
    """Store what a person tells; what they leave out is not known from then on."""
    if visitor is None:
        raise NotEnteredError
    asked = _asked(site, visitor)
    values = {trait: fields[f"trait.{trait}"] for trait in asked if fields.get(f"trait.{trait}")}
    tell(site.records, visitor.name, values, asked=asked, now=site.clock())
    return RedirectResponse("/about-you?said=stored", status_code=303)


def _asked(site: Site, visitor: Visitor) -> dict[str, list[str]]:
    """Traits with the answers to choose from, of all campaigns that a person may judge."""
    asked: dict[str, list[str]] = {}
    for name in their_campaigns(site, visitor, "judge"):
        panel = panel_of(site.records, name)
        for trait, values in panel.traits.items() if panel else ():
            asked[trait] = list(dict.fromkeys([*asked.get(trait, []), *values]))
    return asked
