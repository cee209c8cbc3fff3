"""Profiles: what each person wants of an assistant, above a floor that may only rise. Takes names, yields settings.

Every answer carries the version of the settings under which it was given, so that answers of people who want different
things are not taken for one opinion. A person without a profile has none, and neither have their answers.
"""

from datetime import datetime

from assay.records.errors import InputError, explain
from assay.records.profile import Caution, Floor, Profile, Settings, Topic, is_higher, raised
from assay.storage import RecordStore


def settings_of(records: RecordStore, annotator: str) -> Settings | None:
    """A person's settings, lifted to the floor of today; None where they never chose any, or had them erased."""
    last = records.latest(Profile, subject=annotator)
    return None if last is None or last.settings is None else raised(last.settings, floor_of(records))


def choose(records: RecordStore, annotator: str, settings: Settings, *, now: datetime) -> Profile:
    """Store what a person wants, lifted to the floor; the same again stores nothing."""
    before = records.latest(Profile, subject=annotator)
    wanted = raised(settings, floor_of(records))
    if before is not None and before.settings == wanted:
        return before
    profile = Profile(annotator=annotator, settings=wanted, previous=before.id if before else None, created_at=now)
    records.put(profile, subject=annotator)
    return profile


def floor_of(records: RecordStore) -> Floor | None:
    """What no profile goes below."""
    return records.latest(Floor)


def raise_floor(records: RecordStore, *, caution: Caution, avoided: tuple[Topic, ...], by: str, now: datetime) -> Floor:
    """Store a higher floor; topics of the one before stay. Raises InputError for less caution than before."""
    if not by.strip():
        raise InputError(explain(expected="a name of who raises the floor", got="none", do="say who"))
    before = floor_of(records)
    kept = before.avoided if before else ()
    floor = Floor(
        caution=caution,
        avoided=tuple(dict.fromkeys((*kept, *avoided))),
        by=by,
        previous=before.id if before else None,
        created_at=now,
    )
    if before is not None and not is_higher(floor, before):
        do = "leave it, or raise it further; a floor that somebody can lower is none"
        raise InputError(explain(expected=f"at least the caution {before.caution!r}", got=repr(caution), do=do))
    if before is not None and (floor.caution, set(floor.avoided)) == (before.caution, set(before.avoided)):
        return before
    records.put(floor)
    return floor
