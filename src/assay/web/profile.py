"""Profile page: what a person wants of an assistant. The rules live in `assay.feedback.profiles`."""

from fastapi import APIRouter, Response
from fastapi.responses import HTMLResponse, RedirectResponse
from pydantic import ValidationError

from assay.feedback.profiles import choose, floor_of, settings_of
from assay.records.errors import InputError, explain
from assay.records.profile import CAUTIONS, TOPICS, Floor, Settings, raised
from assay.web.site import Fields, MaybeVisitor, NotEnteredError, TheSite, shared

CAUTION_WORDS = {
    "usual": ("As usual", "Answers what most people may be told."),
    "careful": ("Careful", "Says what may go wrong, and holds back where harm is likely."),
    "strict": ("Strict", "Declines whatever could do harm, at the price of some useful answers."),
}
DETAIL_WORDS = {
    "brief": ("Brief", "The answer and no more."),
    "usual": ("As usual", "As long as the question asks for."),
    "thorough": ("Thorough", "With reasons, steps and limits."),
}
TONE_WORDS = {
    "plain": ("Plain", "Simple and to the point."),
    "warm": ("Warm", "Friendly, as one talks to somebody one knows."),
    "formal": ("Formal", "Polite, as one writes to an office."),
}
TOPIC_WORDS = {
    "violence": "Violence",
    "self_harm": "Harm to oneself",
    "sexual": "Sexual content",
    "hate": "Hate against groups",
    "medical": "Medical advice",
    "legal": "Legal advice",
    "politics": "Politics",
}

router = APIRouter(default_response_class=HTMLResponse)


@router.get("/profile")
def profile(visitor: MaybeVisitor, site: TheSite, said: str = "") -> Response:
    """The settings of a person; none of them are chosen for them beforehand, but the floor is."""
    if visitor is None:
        raise NotEnteredError
    floor, chosen = floor_of(site.records), settings_of(site.records, visitor.name)
    values = {
        "settings": chosen or raised(Settings(), floor),
        "version": chosen.version if chosen else None,
        "is_stored": said == "stored",
        "groups": [
            ("caution", "How careful should an assistant be with you?", _cautions(floor)),
            ("detail", "How long should its answers be?", list(DETAIL_WORDS.items())),
            ("tone", "How should it speak?", list(TONE_WORDS.items())),
        ],
        "topics": TOPIC_WORDS,
        "fixed": floor.avoided if floor else (),
        "is_raised": floor is not None,
    }
    return site.page("profile.html", {**shared(visitor), **values})


@router.post("/profile")
def store(visitor: MaybeVisitor, site: TheSite, fields: Fields) -> Response:
    """Store what a person wants, lifted to the floor where a form asks for less."""
    if visitor is None:
        raise NotEnteredError
    given = {name: fields[name] for name in ("caution", "detail", "tone") if name in fields}
    avoided = tuple(topic for topic in TOPICS if fields.get(f"avoid.{topic}") == "yes")
    try:
        settings = Settings.model_validate({**given, "avoided": avoided})
    except ValidationError as error:
        faults = [f"{one['loc'][0]}: {one['msg']}" for one in error.errors()]
        raise InputError(explain(expected="settings of this page", got="others", do="use its form"), faults) from error
    choose(site.records, visitor.name, settings, now=site.clock())
    return RedirectResponse("/profile?said=stored", status_code=303)


def _cautions(floor: Floor | None) -> list[tuple[str, tuple[str, str]]]:
    """The choices that a person has: those at the floor and above."""
    lowest = CAUTIONS.index(floor.caution) if floor else 0
    return [(name, CAUTION_WORDS[name]) for name in CAUTIONS[lowest:]]
