"""Staff pages: what reviewers, managers and auditors see of a campaign. They read; nothing here changes anything."""

from typing import Annotated

from fastapi import APIRouter, Depends, Response
from fastapi.responses import HTMLResponse

from assay.feedback import current_judgements
from assay.feedback.assignment import Pass, standing_passes
from assay.feedback.campaign import Gold, scheme_of
from assay.feedback.check_fairness import check_failures
from assay.feedback.panels import panel_of, told_by
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
    """How each annotator's answers stand, with intervals, and whether checks turn a group away."""
    records, name = desk.site.records, desk.campaign.name
    judgements = [one for one in records.all(Judgement) if one.campaign == name]
    gold, panel = records.all(Gold, subject=name), panel_of(records, name)
    people = annotator_quality(judgements, gold)
    told = {one.annotator: told_by(records, one.annotator) for one in people} if panel else {}
    failures = check_failures(judgements, gold, panel, told)[:MOST_ROWS] if panel else []
    return desk.site.page("quality.html", {**desk.shared, "people": people, "failures": failures})


@router.get("/trail/{campaign}")
def trail(desk: Annotated[Desk, Depends(staff_of("trail"))]) -> Response:
    """Every answer that was given, corrected or taken back, newest first, by identity and without its content."""
    said = [one for one in desk.site.records.all(Judgement) if one.campaign == desk.campaign.name]
    standing = {one.id for one in current_judgements(said)}
    rows = [(one, one.id in standing) for one in reversed(said[-MOST_ROWS:])]
    return desk.site.page("trail.html", {**desk.shared, "rows": rows, "total": len(said)})
