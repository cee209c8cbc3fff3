"""Quality: hand-worked shares and intervals, and each habit seen where it is and only there."""

from datetime import UTC, datetime, timedelta

from assay.feedback.answering import Asked, Said, answer_records
from assay.feedback.campaign import Gold
from assay.feedback.quality import annotator_quality, item_id
from assay.feedback.schemes import Scheme
from assay.records.conversation import user_prompt
from assay.records.judgement import Item, Judgement

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def _said(name, number, choice="first", **fields):
    defaults = {"first_shown": "left", "time_on_task_s": 10.0, "created_at": NOW + timedelta(minutes=number)}
    return Judgement(
        campaign="k",
        annotator=name,
        prompt=user_prompt(f"p{number}"),
        first="a",
        second="b",
        choice=choice,
        **(defaults | fields),
    )


def _of(name, judgements, gold=()):
    return next(one for one in annotator_quality(judgements, gold) if one.annotator == name)


def test_checks_are_compared_with_what_is_known():
    item = Item(campaign="k", prompt=user_prompt("p1"), first="a", second="b", created_at=NOW)
    gold = [Gold(campaign="k", item=item.id, choice="first", created_at=NOW)]
    right, wrong = _said("ada", 1, purpose="gold"), _said("bob", 1, "second", purpose="gold")
    assert item_id(right) == item.id
    assert _of("ada", [right, wrong], gold).gold == (1, 1)
    assert _of("bob", [right, wrong], gold).gold == (0, 1)
    assert _of("bob", [right, wrong], gold).judged == 0


def test_a_check_on_a_marked_item_is_found_by_what_the_answer_says_of_it(now):
    item = Item(campaign="k", prompt=user_prompt("p"), first="a", second="b", harm="mild", topic="tea", created_at=now)
    asked = Asked(item, "ada", Scheme(name="plain", created_at=now), 0, "v1", None, "gold")
    (said,) = answer_records(asked, Said(overall="left"), now=now)
    gold = [Gold(campaign="k", item=item.id, choice=said.choice, created_at=now)]
    assert item_id(said) == said.item == item.id
    assert _of("ada", [said], gold).gold == (1, 1)
    plain = item.model_copy(update={"harm": None, "topic": None})
    (said,) = answer_records(asked._replace(item=plain), Said(overall="left"), now=now)
    assert said.item is None
    assert item_id(said) == plain.id


def test_a_repeat_is_the_same_when_the_choice_is_whatever_the_side():
    said = [_said("ada", 1), _said("ada", 2, "tie")]
    said += [_said("ada", 1, purpose="repeat", first_shown="right"), _said("ada", 2, "second", purpose="repeat")]
    assert _of("ada", said).repeats == (1, 2)


def test_sides_agreement_and_haste_are_counted_by_person():
    said = [_said("ada", n, first_shown="left" if n % 2 else "right") for n in range(8)]
    said += [
        _said("bob", n, "first" if n % 2 else "second", time_on_task_s=1.0, first_shown="left" if n % 2 else "right")
        for n in range(4)
    ]
    said += [_said("ada", 20, "tie")]
    ada, bob = _of("ada", said), _of("bob", said)
    assert (ada.left, bob.left) == ((4, 8), (4, 4))
    assert (ada.agreement, bob.agreement) == ((2, 4), (2, 4))
    assert (ada.hasty, bob.hasty) == ((0, 9), (4, 4))
    assert (ada.seconds, bob.seconds) == (10.0, 1.0)


def test_what_was_taken_back_is_not_counted():
    first = _said("ada", 1)
    gone = first.model_copy(update={"supersedes": first.id, "source": "withdrawn", "choice": "cannot_judge"})
    assert _of("ada", [first, gone, _said("ada", 2)]).judged == 1
    assert annotator_quality([], []) == []


def test_habits_are_told_beside_those_of_others_on_the_same_pairs():
    said = [_said("ada", n, "both_bad" if n < 3 else "first") for n in range(4)]
    said += [_said("bob", n, "both_bad" if n < 1 else "first") for n in range(4)]
    ada, bob = _of("ada", said), _of("bob", said)
    # Fault in 3 of 4 pairs against 1 of 4: differences 0, 1, 1, 0.
    assert (ada.severity.mean, bob.severity.mean) == (0.5, -0.5)
    assert ada.severity.n == 4
    assert ada.drift == ((0, 0), (0, 0), None)
