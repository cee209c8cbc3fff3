"""Company: whether others said the same of the pairs that a person judged. Takes their answers, yields a word on each.

Read for `fatigue` alone, which compares it with the person's own earlier share; nobody is ranked by it.
"""

from collections.abc import Sequence

from assay.records.judgement import Judgement
from assay.storage.leases import Leases

MOST = 60
"""A person's last answers that are looked at: to read more takes longer than to show an item."""
GIVEN = 2 * MOST
"""What they were given last; checks, repeats and what they passed over stand between."""
OTHERS = 3
"""Other people's answers to a pair that are read, where there are more."""


def agreed_with_others(leases: Leases, queue: str, judgements: Sequence[Judgement]) -> dict[str, bool]:
    """By judgement, whether at least half of the others said the same of the pair; absent where nobody else did.

    Judgements are one person's, in the order of time; checks, repeats and rankings are left out.
    """
    mine = [one for one in judgements if one.campaign == queue and one.purpose is None and one.ranking is None][-MOST:]
    if not mine:
        return {}
    # the leases tell which items these are, and to reckon it from the texts takes longer
    given = {lease.answer: lease.item for lease in leases.recent(queue, mine[0].annotator, most=GIVEN)}
    mine = [one for one in mine if one.id in given]
    items = {one.id: given[one.id] for one in mine}
    others: dict[str, list[str]] = {}
    for lease in leases.answers_on(queue, sorted(set(items.values()))):
        if lease.answer is not None and lease.annotator != mine[0].annotator:
            others.setdefault(lease.item, []).append(lease.answer)
    others = {item: answers[:OTHERS] for item, answers in others.items()}
    wanted = {answer for answers in others.values() for answer in answers}
    said = {name: one.choice for name, one in leases.records.known(Judgement, wanted).items()}
    found = {}
    for one in mine:
        choices = [said[answer] for answer in others.get(items[one.id], ()) if answer in said]
        if choices:
            found[one.id] = 2 * choices.count(one.choice) >= len(choices)
    return found
