"""Rights pages: what a person agrees to, purpose by purpose, their receipt, and taking everything back.

The rules live in `assay.feedback.consent`, `assay.feedback.withdrawal` and `assay.feedback.erasure`.
"""

from collections.abc import Mapping

from fastapi import APIRouter, Response
from fastapi.responses import HTMLResponse, RedirectResponse

from assay.feedback import TEXTS
from assay.feedback.comfort import is_to_be_asked
from assay.feedback.consent import decide, questions, receipt
from assay.feedback.erasure import erase
from assay.feedback.withdrawal import withdraw
from assay.records.consent import Purpose
from assay.records.judgement import HARMS, Harm
from assay.web.comfort import COMFORT_WORDS, harm_in, store_word
from assay.web.site import Desk, Fields, MaybeVisitor, NotEnteredError, Site, TheDesk, TheSite, Visitor, shared

router = APIRouter(default_response_class=HTMLResponse)


@router.post("/c/{campaign}/consent")
def agree(desk: TheDesk, fields: Fields) -> Response:
    """Store what a person agrees to before the first item; to nothing, and there is nothing to judge.

    Where they were asked what they want to see and left it out, everything is for them.
    """
    purposes, harm = _ticked(fields), harm_in(fields)
    if not purposes:
        fault = "Please tick what your answers may be used for, or leave."
        return consent_page(desk, fault=fault, accepts=harm)
    decide(desk.site.records, desk.visitor.name, purposes, now=desk.site.clock())
    if is_to_be_asked(desk.site.leases, desk.campaign.name, desk.visitor.name):
        store_word(desk.site, desk.visitor, harm or HARMS[-1])
    return RedirectResponse(desk.path, status_code=303)


@router.get("/rights")
def rights(visitor: MaybeVisitor, site: TheSite, said: str = "") -> Response:
    """What a person may do with what they said."""
    return _page(site, _entered(visitor), said=said)


@router.post("/rights/purposes")
def change(visitor: MaybeVisitor, site: TheSite, fields: Fields) -> Response:
    """Store what a person agrees to from now on, and for what they said before."""
    decide(site.records, _entered(visitor).name, _ticked(fields), now=site.clock())
    return RedirectResponse("/rights?said=changed", status_code=303)


@router.get("/rights/receipt")
def download(visitor: MaybeVisitor, site: TheSite) -> Response:
    """The receipt of what a person agreed to, as a file to keep."""
    found = receipt(site.records, _entered(visitor).name)
    headers = {"Content-Disposition": 'attachment; filename="consent-receipt.json"', "Cache-Control": "no-store"}
    return Response(found.model_dump_json(indent=1), media_type="application/json", headers=headers)


@router.post("/rights/withdraw")
def take_back(site: TheSite, visitor: MaybeVisitor, fields: Fields) -> Response:
    """Take back everything a person said, once they have ticked that they mean it."""
    person = _entered(visitor)
    if fields.get("sure") != "yes":
        return _page(site, person, fault="Please tick the box if you want to take everything back.")
    done = withdraw(site.leases, person.name, now=site.clock())
    if fields.get("erase") == "yes":
        erase(site.records, person.name, why="request", now=site.clock())
    return _page(site, person, withdrawn=len(done.judgements), is_erased=fields.get("erase") == "yes")


def consent_page(desk: Desk, *, fault: str | None = None, accepts: Harm | None = None) -> Response:
    """The texts with a box each, and once what the person wants to see; nothing is ticked that was not agreed to."""
    asked = questions(desk.site.records, desk.visitor.name)
    values = {**desk.shared, "questions": asked, "about": asked[0].text.about, "fault": fault}
    asks_comfort = is_to_be_asked(desk.site.leases, desk.campaign.name, desk.visitor.name)
    comfort = {"asks_comfort": asks_comfort, "comfort_words": COMFORT_WORDS, "accepts": accepts}
    return desk.site.page("consent.html", {**values, **comfort}, status=400 if fault else 200)


def _page(
    site: Site,
    person: Visitor,
    *,
    fault: str | None = None,
    withdrawn: int | None = None,
    is_erased: bool = False,
    said: str = "",
) -> Response:
    values = {"fault": fault, "withdrawn": withdrawn, "is_erased": is_erased, "is_changed": said == "changed"}
    asked = questions(site.records, person.name)
    return site.page("rights.html", {**shared(person), **values, "questions": asked}, status=400 if fault else 200)


def _ticked(fields: Mapping[str, str]) -> list[Purpose]:
    return [purpose for purpose in TEXTS if fields.get(f"purpose.{purpose}") == "yes"]


def _entered(visitor: Visitor | None) -> Visitor:
    if visitor is None:
        raise NotEnteredError
    return visitor
