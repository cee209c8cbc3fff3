"""Judging: the pages of a campaign: the next item, and what a person can do with it. Rules live in `feedback`.

A page's script may ask for the item after the next (`ahead`) and post answers itself; then it gets JSON back. All
else is forms and redirects. Who was recruited by a link has a share of the items, and a code at its end.

The three that are asked for at every item find their desk themselves, without FastAPI's dependencies, and are answered
without a thread where that is quicker (`site.quickly`): either costs as much as to look up all that an answer needs.
"""

from collections.abc import Mapping
from datetime import datetime, time
from typing import get_args
from urllib.parse import urlencode

from fastapi import APIRouter, HTTPException, Request, Response
from fastapi.responses import HTMLResponse, JSONResponse, RedirectResponse

from assay.feedback import next_turn, progress, record_answer, undo_last
from assay.feedback.answering import shown_positions
from assay.feedback.assignment import PassReason, Progress, Turn, pass_over, step_away
from assay.feedback.campaign import find_item, run_of, scheme_of
from assay.feedback.comfort import is_to_be_asked, is_to_be_offered, limit_of
from assay.feedback.company import agreed_with_others
from assay.feedback.consent import agreed_version
from assay.feedback.demonstrations import word_diff
from assay.feedback.fatigue import COMPARED, Advice, Rest, RestReason, advise
from assay.feedback.recruiting import has_enough, is_beyond, share_of
from assay.records.errors import StorageError
from assay.records.judgement import Item, Judgement
from assay.storage import RecordStore
from assay.web.comfort import asking_page
from assay.web.fixed import fixed_parts, names_of
from assay.web.forms import said_from
from assay.web.joining import finished_page
from assay.web.keys import notice_of
from assay.web.personal import question, settled, texts_of
from assay.web.rights import consent_page
from assay.web.site import Desk, Fields, TheDesk, checked_fields, desk_of, quickly, site_of

ADVISE_EVERY = 5
"""A person's answers are looked at for tiredness after every fifth."""
COMPARE_EVERY = 20
"""And for whether they still agree with others after every twentieth, for those others' answers must be read too."""
ADVISE_ON = COMPARED
"""Their last answers that are looked at, and all since their last break, or of today where a daily cap counts them: to
read a career at each item would take longer than to show the next one."""

router = APIRouter(prefix="/c/{campaign}", default_response_class=HTMLResponse)


def is_from_script(request: Request) -> bool:
    """Whether the page's own script sent this and reads JSON."""
    return request.headers.get("x-assay-script") == "1"


async def judge(request: Request) -> Response:
    """The next item; before it consent and what one would rather not see, now and then a break, at the end thanks."""
    return await quickly(site_of(request), lambda: _next_page(_desk(request), request.query_params))


async def ahead(request: Request) -> Response:
    """The page of the item after the next, for the script to keep ready; nothing where another page comes first."""
    return await quickly(site_of(request), lambda: _page_ahead(_desk(request)))


async def answer(request: Request) -> Response:
    """Store one answer and go to the next item; where it holds personal data, ask first."""
    fields = await checked_fields(request)
    return await quickly(site_of(request), lambda: _take_answer(request, _desk(request), fields))


router.add_route(router.prefix, judge, methods=["GET"])
router.add_route(f"{router.prefix}/ahead", ahead, methods=["GET"])
router.add_route(f"{router.prefix}/answer", answer, methods=["POST"])


@router.post("/pass")
def pass_(desk: TheDesk, fields: Fields) -> Response:
    """Skip the item, or skip and flag it, with a reason."""
    reason: PassReason = next((one for one in get_args(PassReason) if one == fields.get("why")), "other")
    round_ = int(fields.get("round") == "1")
    lease = desk.site.leases.find(desk.campaign.name, desk.visitor.name, fields.get("item", ""), round=round_)
    if lease is None:
        return _back(desk, "gone")
    item = desk.site.records.get(Item, lease.item)
    kept = settled(fields, texts := texts_of(fields, item, desk.site.finder))
    if kept is None:
        return question(desk, f"{desk.path}/pass", fields, texts, _progress(desk))
    is_flag, note, now = fields.get("kind") == "flag", kept.get("note", ""), desk.site.clock()
    done = pass_over(desk.site.leases, lease, reason=reason, note=note, is_flag=is_flag, now=now)
    return _back(desk, ("flagged" if is_flag else "passed") if done else "gone", why=reason if done else "")


@router.post("/undo")
def undo(desk: TheDesk, fields: Fields) -> Response:
    """Take back what was done last; its item is shown again."""
    undone = undo_last(desk.site.leases, desk.campaign, desk.visitor.name, now=desk.site.clock())
    return _back(desk, "undone" if undone else "")


@router.post("/away")
def away(desk: TheDesk, fields: Fields) -> Response:
    """Step away: what this person holds is free for others, and a quiet page waits."""
    step_away(desk.site.leases, desk.campaign.name, desk.visitor.name)
    _rest(desk, "own_wish", is_taken=True)
    return desk.site.page("away.html", {**desk.shared, "progress": _progress(desk)})


@router.post("/rest")
def rest(desk: TheDesk, fields: Fields) -> Response:
    """What a person chose when a break was proposed."""
    is_taken = fields.get("choice") == "rest"
    _rest(desk, fields.get("reason", ""), is_taken=is_taken)
    if not is_taken:
        return _back(desk)
    step_away(desk.site.leases, desk.campaign.name, desk.visitor.name)
    return desk.site.page("away.html", {**desk.shared, "progress": _progress(desk)})


@router.post("/renew")
def renew(desk: TheDesk, fields: Fields) -> Response:
    """Hold on to what is in hand, while somebody reads it."""
    leases, now = desk.site.leases, desk.site.clock()
    held = [leases.renew(lease, now=now) for lease in leases.held(desk.campaign.name, desk.visitor.name)]
    return JSONResponse({"held": sum(held)})


@router.post("/diff")
def diff(request: Request, desk: TheDesk, fields: Fields) -> Response:
    """What an edit changes, word by word, as a piece of a page."""
    turn = _in_hand(desk, fields.get("item", ""))
    shown = shown_positions(turn.item, desk.visitor.name, round=turn.lease.round)
    place = fields.get("edit_place", "0")
    if not place.isdecimal() or int(place) >= len(shown):
        raise HTTPException(400, "There is no such answer.")
    before = turn.item.completions[shown[int(place)]]
    pieces = word_diff(before, fields.get("edit", "").replace("\r\n", "\n"))
    return desk.site.page(
        "diff_piece.html" if is_from_script(request) else "diff.html", {**desk.shared, "pieces": pieces}
    )


def _desk(request: Request) -> Desk:
    return desk_of(request, request.path_params["campaign"])


def _next_page(desk: Desk, told: Mapping[str, str]) -> Response:
    site, name = desk.site, desk.visitor.name
    if agreed_version(site.records, name) is None:
        return consent_page(desk)
    if is_to_be_asked(site.leases, desk.campaign.name, name):
        return asking_page(desk)
    now = site.clock()
    come_so_far = _progress(desk)
    come: dict[str, object] = {"progress": come_so_far, "notice": notice_of(told.get("said", ""))}
    joined = desk.visitor.joined
    is_enough = joined is not None and has_enough(site.leases, joined, name)
    if not is_enough and (advice := _advice(desk, judged=come_so_far.judged, now=now)):
        return site.page("rest.html", {**desk.shared, **come, "advice": advice})
    come["is_offered"] = told.get("why") == "upsetting" and is_to_be_offered(site.leases, desk.campaign.name, name)
    turn = None if is_enough else next_turn(site.leases, desk.campaign, name, now=now)
    if turn is None and joined is not None:
        return finished_page(desk, joined, come_so_far, notice_of(told.get("said", "")))
    if turn is None:
        is_limited = limit_of(site.records, name) is not None
        return site.page("done.html", {**desk.shared, **come, "is_limited": is_limited})
    return site.page("judge.html", {**desk.shared, **come, **_shown(desk, turn)})


def _page_ahead(desk: Desk) -> Response:
    site, name, now = desk.site, desk.visitor.name, desk.site.clock()
    judged, total = _progress(desk)
    is_last = desk.visitor.joined is not None and judged + 1 >= total
    is_asked = agreed_version(site.records, name) is None or is_to_be_asked(site.leases, desk.campaign.name, name)
    if is_last or is_asked or _advice(desk, judged=judged + 1, now=now):
        return Response(status_code=204)
    turn = next_turn(site.leases, desk.campaign, name, now=now, ahead=1)
    if turn is None:
        return Response(status_code=204)
    come = {"progress": {"judged": judged + 1, "total": total}, "notice": "", "is_offered": False}
    return site.page("judge.html", {**desk.shared, **come, **_shown(desk, turn)})


def _take_answer(request: Request, desk: Desk, fields: dict[str, str]) -> Response:
    site, leases = desk.site, desk.site.leases
    if leases.split_of(desk.campaign.name, fields.get("item", "")) is None:
        raise HTTPException(404 if fields.get("item") else 400, "This item is not part of the campaign.")
    item, joined = site.records.get(Item, fields["item"]), desk.visitor.joined
    if joined is not None and is_beyond(leases, joined, desk.visitor.name, item.id):
        return _stored(request, desk, "gone")
    kept = settled(fields, texts := texts_of(fields, item, site.finder))
    if kept is None:
        page = question(desk, f"{desk.path}/answer", fields, texts, _progress(desk))
        return JSONResponse({"question": bytes(page.body).decode()}) if is_from_script(request) else page
    said, round_ = said_from(kept), int(fields.get("round") == "1")
    try:
        record_answer(leases, desk.campaign, desk.visitor.name, item, said, now=site.clock(), round=round_)
    except StorageError:
        if leases.find(desk.campaign.name, desk.visitor.name, item.id, round=round_) is not None:
            raise
        return _stored(request, desk, "gone")
    return _stored(request, desk, said.overall or "submit")


def _stored(request: Request, desk: Desk, said: str) -> Response:
    if not is_from_script(request):
        return _back(desk, said)
    judged, total = _progress(desk)
    return JSONResponse({"notice": notice_of(said), "judged": judged, "total": total, "is_gone": said == "gone"})


def _back(desk: Desk, said: str = "", *, why: str = "") -> Response:
    told = {name: value for name, value in (("said", said), ("why", why)) if value}
    return RedirectResponse(desk.path + (f"?{urlencode(told)}" if told else ""), status_code=303)


def _progress(desk: Desk) -> Progress:
    come, joined = progress(desk.site.leases, desk.campaign.name, desk.visitor.name), desk.visitor.joined
    return come if joined is None else share_of(come, joined)


def _in_hand(desk: Desk, item: str) -> Turn:
    for lease in desk.site.leases.held(desk.campaign.name, desk.visitor.name):
        if lease.item == item:
            return Turn(lease, find_item(desk.site.leases, desk.campaign.name, item))
    raise HTTPException(404, "This item is not in your hands any more.")


def _shown(desk: Desk, turn: Turn) -> dict[str, object]:
    scheme = scheme_of(desk.site.records, desk.campaign)
    positions = shown_positions(turn.item, desk.visitor.name, round=turn.lease.round)
    answers = [
        {"place": place, "name": name, "text": turn.item.completions[position]}
        for place, (name, position) in enumerate(zip(names_of(len(positions)), positions, strict=True))
    ]
    fixed = fixed_parts(desk.site.pages, scheme, completions=len(answers))
    return {"turn": turn, "item": turn.item, "scheme": scheme, "answers": answers, "fixed": fixed}


def _recent(records: RecordStore, name: str, *, since: datetime) -> list[Judgement]:
    """A person's last answers: all since then, and `ADVISE_ON` at least, where there are."""
    most = ADVISE_ON
    while True:
        found = records.all(Judgement, subject=name, newest=most)
        if len(found) < most or found[0].created_at < since:
            return found
        most *= 2


def _advice(desk: Desk, *, judged: int, now: datetime) -> Advice | None:
    run = run_of(desk.campaign)
    name, records = desk.visitor.name, desk.site.records
    if run.daily_cap_min is None and judged % ADVISE_EVERY:
        return None
    rests = records.all(Rest, subject=name)
    today = datetime.combine(now.date(), time(), now.tzinfo)
    last_rest = max((rest.at for rest in rests), default=today)
    recent = _recent(records, name, since=max(today, last_rest) if run.daily_cap_min is None else today)
    is_compared = judged and judged % COMPARE_EVERY == 0
    return advise(
        recent,
        rests,
        now=now,
        break_after_min=run.break_after_min,
        daily_cap_min=run.daily_cap_min,
        agreed=agreed_with_others(desk.site.leases, desk.campaign.name, recent) if is_compared else {},
    )


def _rest(desk: Desk, reason: str, *, is_taken: bool) -> None:
    name, now = desk.visitor.name, desk.site.clock()
    why: RestReason = next((one for one in get_args(RestReason) if one == reason), "own_wish")
    rest = Rest(annotator=name, campaign=desk.campaign.name, reason=why, is_taken=is_taken, at=now, created_at=now)
    desk.site.records.put(rest, subject=name)
