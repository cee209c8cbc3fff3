"""Joining: the way in for people whom a panel provider sends, and what they see at the end.

The link carries a key, which keeps strangers out, and the provider's id of the person, which is turned into a name and
leaves the address with the redirect. Nothing is stored before the person has agreed to take part. The rules live in
`assay.feedback.recruiting`.
"""

from urllib.parse import quote

from fastapi import APIRouter, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse

from assay.feedback import progress
from assay.feedback.assignment import Progress, step_away
from assay.feedback.campaign import state_of
from assay.feedback.recruiting import Recruitment, find_recruitment, give_code, participant_name, was_given_code
from assay.records.errors import InputError
from assay.web.security import Join, Signer, read_join, write_join, write_session
from assay.web.site import Desk, Site, TheSite, Visitor, campaign_path, remember

AGAIN = "Open the study from your provider's page again; if that does not help, write to those who recruit there."
RETURN = "Please return your place at your provider. Nothing of yours was stored."

router = APIRouter(default_response_class=HTMLResponse)


@router.get("/join/{campaign}")
def join(request: Request, site: TheSite, campaign: str, key: str = "") -> Response:
    """Let in whoever a provider sends, under the name that their id gives, and go on to the campaign."""
    now, address = site.clock(), request.client.host if request.client else "?"
    if not site.posts.allows(f"join {address}", now=now):
        return _refused(site, 429, "Too many people come at once. Wait a minute, then open the link again.")
    link = read_join(site.signer, key)
    if link is None:
        return _refused(site, 403, f"This link is not whole. {AGAIN}")
    found = find_recruitment(site.records, *link)
    if link.campaign != campaign or found is None:
        return _refused(site, 403, f"This link belongs to another campaign. {AGAIN}")
    try:
        [identity] = request.query_params.getlist(link.parameter)
        name = participant_name(link.parameter, identity, site.pseudonym_key())
    except (ValueError, InputError):
        return _refused(site, 400, f"The id that your provider gives you is missing, or is none. {AGAIN}")
    if state_of(site.records, campaign) != "open":
        return _refused(site, 403, f"This campaign is not open. {RETURN}")
    if found.is_closed and not site.leases.turns(campaign, name):
        return _refused(site, 403, f"Nobody else is wanted in this campaign. {RETURN}")
    response = RedirectResponse(campaign_path(campaign), status_code=303, headers={"Cache-Control": "no-store"})
    return remember(response, site, write_session(site.signer, name, now=now, join=link))


def join_path(signer: Signer, recruitment: Recruitment, *, placeholder: str) -> str:
    """Path of the link to give to a provider, which puts a person's id where `placeholder` stands."""
    key = write_join(signer, Join(recruitment.campaign, recruitment.parameter))
    campaign = quote(recruitment.campaign, safe="")
    return f"/join/{campaign}?key={quote(key, safe='')}&{recruitment.parameter}={placeholder}"


def finished_page(desk: Desk, recruitment: Recruitment, come: Progress, notice: str) -> Response:
    """The end of a participant's share, with the code and the way back."""
    code = give_code(desk.site.records, recruitment, desk.visitor.name, now=desk.site.clock())
    said = {"progress": come._replace(total=come.judged), "notice": notice}
    values = {**said, "code": code, "return_address": recruitment.return_address}
    return desk.site.page("finished.html", {**desk.shared, **values})


def left_page(site: Site, visitor: Visitor) -> Response:
    """How to give a place back, or where the code is found again; what this person held is free for others."""
    campaign = visitor.joined.campaign if visitor.joined else ""
    step_away(site.leases, campaign, visitor.name)
    judged = progress(site.leases, campaign, visitor.name).judged
    is_finished = was_given_code(site.records, campaign, visitor.name)
    return site.page("left.html", {"campaign": campaign, "judged": judged, "is_finished": is_finished})


def _refused(site: Site, status: int, reason: str) -> Response:
    return site.page("problem.html", {"reason": reason, "is_recruited": True}, status=status)
