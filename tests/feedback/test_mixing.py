"""Mixing: differences reckoned by hand, no two upsetting items in a row where another is there, quotas first."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay.feedback import Said, find_campaign, give_consent, next_turn, open_campaign, queue_of, record_answer
from assay.feedback.ahead import AHEAD, chosen_ahead
from assay.feedback.campaign import Run, run_of
from assay.feedback.mixing import BANDS, Look, difference, look_of, most_different
from assay.feedback.panels import Panel, Quota, tell
from assay.records.conversation import user_prompt
from assay.records.judgement import Item

HOME, SPORT = Look("home", 0, 0), Look("sport", 0, 0)


def test_topic_length_and_level_count_alike_and_what_is_not_told_differs_from_nothing():
    assert difference(HOME, HOME) == 0
    assert difference(HOME, SPORT) == 4
    assert difference(HOME, Look("home", 4, 0)) == 4  # from the shortest band to the longest
    assert difference(HOME, Look("home", 0, 2)) == 4  # from none to strong
    assert difference(HOME, Look("sport", 3, 1)) == difference(Look("sport", 3, 1), HOME) == 4 + 3 + 2
    assert difference(HOME, Look(None, 0, None)) == 0


def test_the_last_item_counts_three_times_as_much_as_the_one_two_before():
    short, long, far = Look(None, 0, None), Look(None, 4, None), Look(None, 2, None)
    # after long, short, short: `long` is 0*3 + 4*2 + 4*1 = 12, `short` 4*3 = 12, `far` 2*3 + 2*2 + 2*1 = 12
    assert most_different([far, long, short], [long, short, short]) == 0
    # after long, long, short: `long` is 4, `short` 4*3 + 4*2 = 20, `far` 12; what was before those does not count
    assert most_different([far, long, short], [long, long, short, long, long]) == 2
    # after short, long, long: `long` is 12, `short` 20-8=4*2+4*1=12 again, and of equals the first comes
    assert most_different([long, short], [short, long, long]) == 0
    assert most_different([short, long], [short, long, long]) == 0


def test_without_a_past_the_first_one_comes():
    assert most_different([HOME, SPORT, Look("law", 4, 2)], []) == 0
    with pytest.raises(ValueError, match="empty"):
        most_different([], [HOME])


def test_two_strong_ones_follow_each_other_only_where_there_is_no_other():
    strong = Look("sport", 4, 2)
    last = [Look("home", 0, 2)]
    assert most_different([strong, Look("home", 0, 2), Look("home", 0, None)], last) == 2
    assert most_different([Look("home", 0, 2), strong], last) == 1
    assert most_different([strong, HOME], [HOME, *last]) == 0  # not in a row


def test_the_bands_of_length_are_of_all_words_that_are_read(now):
    def band(words, **more):
        item = Item(campaign="k", prompt=user_prompt("p " * (words - 2)), first="a", second="b", created_at=now, **more)
        return look_of(item).band

    assert [band(words) for words in (3, 59, 60, 149, 150, 399, 400, 999, 1000, 5000)] == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4]
    assert band(59, others=("c",)) == 1
    assert len(BANDS) == 5


LOOKS = st.builds(Look, st.sampled_from(["home", "sport", None]), st.integers(0, 4), st.sampled_from([None, 0, 1, 2]))


@given(st.lists(LOOKS, min_size=1, max_size=8), st.lists(LOOKS, max_size=5))
def test_the_chosen_one_is_no_second_strong_one_unless_all_are_and_no_other_differs_more(looks, recent):
    chosen = looks[most_different(looks, recent)]
    if recent and recent[0].level == chosen.level == 2:
        assert {look.level for look in looks} == {2}

    def weighed(look):
        return sum(weight * difference(look, one) for weight, one in zip((3, 2, 1), recent, strict=False))

    others = [look for look in looks if not (recent and recent[0].level == look.level == 2)] or looks
    assert weighed(chosen) == max(weighed(look) for look in others)


PLAN = [("home", 0, "none"), ("home", 0, "strong"), ("sport", 70, "none"), ("sport", 70, "strong")]


def _items(now, *, each=5):
    return [
        Item(
            campaign="k",
            prompt=user_prompt(f"{topic} {n} {harm} " + "word " * words),
            first="a",
            second="b",
            topic=topic,
            harm=harm,
            created_at=now,
        )
        for n in range(each)
        for topic, words, harm in PLAN
    ]


@pytest.fixture
def opened(workspace, now):
    def open_(**run):
        open_campaign(workspace.records, "k", _items(now), now=now, run=Run(**run))
        for name in ("ada", "bob", "yo"):
            give_consent(workspace.records, name, "train", now=now)
        return queue_of(workspace.records), find_campaign(workspace.records, "k")

    return open_


def _walk(leases, campaign, name, now, count):
    items = []
    for _ in range(count):
        turn = next_turn(leases, campaign, name, now=now)
        items.append(turn.item)
        record_answer(leases, campaign, name, turn.item, Said(overall="tie"), now=now)
    return items


def _same(items, what):
    return sum(getattr(one, what) == getattr(other, what) for one, other in zip(items, items[1:], strict=False))


def test_with_mixing_topics_and_levels_change_and_everything_comes_once(opened, now):
    leases, campaign = opened(mix=True)
    items = _walk(leases, campaign, "ada", now, 20)
    assert len({item.id for item in items}) == 20
    assert next_turn(leases, campaign, "ada", now=now) is None
    assert _same(items[:10], "topic") == 0
    assert not [n for n in range(18) if items[n].harm == items[n + 1].harm == "strong"]


def test_without_it_the_order_of_the_queue_stays(opened, workspace, now):
    leases, campaign = opened()
    assert run_of(campaign).mix is None and chosen_ahead(leases, campaign, "ada", limit=None) is None
    order = [one.item for one in leases.ahead("k", "ada", most=20)]
    assert [item.id for item in _walk(leases, campaign, "ada", now, 20)] == order


def test_a_reload_and_an_item_fetched_ahead_change_nothing(opened, now):
    leases, campaign = opened(mix=True)
    _walk(leases, campaign, "ada", now, 3)
    here = next_turn(leases, campaign, "ada", now=now).item
    ahead = next_turn(leases, campaign, "ada", now=now, ahead=1).item
    assert (ahead.topic, ahead.harm) != (here.topic, here.harm)  # what is in hand counts as seen
    for _ in range(3):
        assert next_turn(leases, campaign, "ada", now=now).item == here
        assert next_turn(leases, campaign, "ada", now=now, ahead=1).item == ahead
    leases.release("k", "ada")
    assert next_turn(leases, campaign, "ada", now=now).item == here


def test_only_the_next_few_are_looked_at(opened, now):
    leases, campaign = opened(mix=True)
    asked = []
    ahead = leases.ahead
    leases.ahead = lambda *names, **more: asked.append(more["most"]) or ahead(*names, **more)
    _walk(leases, campaign, "ada", now, 2)
    assert asked == [AHEAD, AHEAD]


def test_quotas_come_first_and_mixing_chooses_among_equals(opened, workspace, now):
    leases, campaign = opened(mix=True, overlap=2)
    traits = {"age": ("young", "old")}
    quota = Quota(where={"age": "young"}, share=0.5)
    workspace.records.put(Panel(campaign="k", traits=traits, quotas=(quota,), created_at=now), subject="k")
    for name, age in (("ada", "young"), ("yo", "young"), ("bob", "old")):
        tell(workspace.records, name, {"age": age}, asked=traits, now=now)
    young = _walk(leases, campaign, "ada", now, 8)
    assert _same(young, "topic") == 0
    found = _walk(leases, campaign, "yo", now, 12)
    assert {item.id for item in found}.isdisjoint(item.id for item in young)  # those lack no young person any more
    assert _same(found, "topic") < 6
    assert len(_walk(leases, campaign, "bob", now, 20)) == 20
