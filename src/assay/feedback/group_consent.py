"""Group consent: whether what people told of themselves may show where groups judge differently.

Takes their word beside what they tell (`panels`); yields what may be used, by name, with the record it stands in. The
word belongs to one declaration and goes with it: what is told anew asks for it anew, an erasure takes both. A new text
asks again, and so does coming back after a withdrawal.

Catches: people who said no, took it back, withdrew, had it erased, or agreed to another text. Does not catch: what was
made before (`withdrawal.made_with_groups` lists it), and one person under two names.
"""

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import NamedTuple

from assay.feedback.consent import ConsentDocument, ConsentText
from assay.feedback.panels import GroupWord, Panel, Told, Traits, tell
from assay.records.consent import Withdrawal
from assay.records.errors import InputError, explain
from assay.storage import RecordStore

SMALLEST = 5
"""People of the smallest group that is shown of those who agreed; a panel may ask for more."""

GROUPS = ConsentText(
    purpose="groups",
    title="Show where groups of people judge differently",
    paragraphs=(
        "We then compare how people of one group (of one age, say) judged with how all did. Where they differ we keep "
        "both views: those of groups, never yours by name. What a group prefers may be used to train a language model "
        "where your answers may be.",
        f"Groups of fewer than {SMALLEST} people are never shown. What you told stands in no list of answers and is "
        "passed on with none.",
        "You may take this back here at any time. Nothing that is worked out from then on uses what you told, and what "
        "was made with it before is listed as out of date. What a model has learnt by then cannot be reached.",
    ),
    about=(),
)


class Contributed(NamedTuple):
    """What people told and agreed to have used: values and the record they stand in, by person.

    `smallest` is of how many people a group has to be.
    """

    values: dict[str, Told]
    declarations: dict[str, str]
    smallest: int


def agrees(records: RecordStore, annotator: str) -> bool:
    """Whether a person's last word, under the text of today and since they last withdrew, is a yes."""
    told = records.latest(Traits, subject=annotator)
    return told is not None and told.groups == _word(records, annotator, is_given=True)


def declare(
    records: RecordStore,
    annotator: str,
    values: Told,
    *,
    asked: Mapping[str, Collection[str]],
    for_groups: bool,
    salt: str,
    now: datetime,
) -> Traits:
    """Store what a person tells with their word on groups, and the text of it. Raises as `tell` does."""
    word = _word(records, annotator, is_given=for_groups)
    told = tell(records, annotator, values, asked=asked, now=now, groups=word, salt=salt)
    records.put(ConsentDocument(text=GROUPS, created_at=now), subject=GROUPS.version)
    return told


def contributed(records: RecordStore) -> Contributed:
    """What may be used now. Raises InputError where nobody told anything and agreed."""
    usable = _standing(records)
    if not usable:
        do = "ask for traits (`assay feedback panel NAME --declare FILE`) and wait for people to agree, or go without"
        expected = "people who told of themselves and agreed that it shows where groups differ"
        raise InputError(explain(expected=expected, got="nobody", do=do))
    panels = {one.campaign: one for one in records.all(Panel)}.values()
    return Contributed(
        values={name: one.values or {} for name, one in usable.items()},
        declarations={name: one.id for name, one in usable.items()},
        smallest=max([SMALLEST, *(panel.smallest for panel in panels)]),
    )


def standing_declarations(records: RecordStore) -> set[str]:
    """Identities of the records of what people told and agree to have used."""
    return {one.id for one in _standing(records).values()}


def _standing(records: RecordStore) -> dict[str, Traits]:
    """By person, what they told last, of those whose word on it is a yes."""
    gone = {one.annotator: one.id for one in records.all(Withdrawal)}
    standing = {}
    for name, one in {one.annotator: one for one in records.all(Traits)}.items():
        yes = GroupWord(version=GROUPS.version, is_given=True, after=gone.get(name))
        if one.values and one.groups == yes:
            standing[name] = one
    return standing


def _word(records: RecordStore, annotator: str, *, is_given: bool) -> GroupWord:
    gone = records.latest(Withdrawal, subject=annotator)
    return GroupWord(version=GROUPS.version, is_given=is_given, after=gone.id if gone else None)
