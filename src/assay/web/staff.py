"""Staff pages: what reviewers, managers and auditors see of a campaign. They read; nothing here changes anything."""

from typing import Annotated

from fastapi import APIRouter, Depends, Response
from fastapi.responses import HTMLResponse

from assay.feedback import current_judgements
from assay.feedback.assignment import Pass, standing_passes
from assay.feedback.campaign import Gold, scheme_of
from assay.feedback.quality import annotator_quality
from assay.records.judgement import Item, Judgement
from assay.web.site import Desk, staff_of

MOST_ROWS = 200

router = APIRouter(default_response_class=HTMLResponse)


@router.get("/review/{campaign}")
def review(desk: Annotated[Desk, Depends(staff_of("review"))]) -> Response:
    """What people flagged or skipped, flags first, newest first."""
    records, name = desk.site.records, desk.campaign.name
    passes = [one for one in standing_passes(records.all(Pass)) if one.campaign == name]
    passes.sort(key=lambda one: (one.is_flag, one.created_at), reverse=True)
    rows = [(one, records.get(Item, one.item)) for one in passes[:MOST_ROWS]]
    values = {"rows": rows, "total": len(passes), "scheme": scheme_of(records, desk.campaign)}
    return desk.site.page("review.html", {**desk.shared, **values})


@router.get("/quality/{campaign}")
def quality(desk: Annotated[Desk, Depends(staff_of("quality"))]) -> Response:
    """How each annotator's answers stand, with intervals."""
    records, name = desk.site.records, desk.campaign.name
    judgements = [one for one in records.all(Judgement) if one.campaign == name]
    people = annotator_quality(judgements, records.all(Gold, subject=name))
    return desk.site.page("quality.html", {**desk.shared, "people": people})


@router.get("/trail/{campaign}")
def trail(desk: Annotated[Desk, Depends(staff_of("trail"))]) -> Response:
    """Every answer that was given, corrected or taken back, newest first, by identity and without its content."""
    said = [one for one in desk.site.records.all(Judgement) if one.campaign == desk.campaign.name]
    standing = {one.id for one in current_judgements(said)}
    rows = [(one, one.id in standing) for one in reversed(said[-MOST_ROWS:])]
    return desk.site.page("trail.html", {**desk.shared, "rows": rows, "total": len(said)})
