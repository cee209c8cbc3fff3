"""Selection: a pool divided by split and in proportion, stored with its record, in a campaign as it is run."""

import pytest

from assay.feedback import Folds, find_campaign, open_campaign, queue_of
from assay.feedback.campaign import Run
from assay.feedback.folds import splits_of_prompts
from assay.feedback.selection import Chosen, Selection, divided, open_selected
from assay.records.conversation import prompt_id, user_prompt
from assay.records.errors import InputError
from assay.records.judgement import Item
from assay.records.provenance import Provenance
from assay.storage import SplitName

FOLDS = Folds(held_out_annotators="none")


def items(count, now, *, start=0):
    return [
        Item(campaign="k", prompt=user_prompt(f"p{n}"), first="a", second="b", created_at=now)
        for n in range(start, start + count)
    ]


def selection(chosen, now):
    return Selection(
        campaign="k",
        items=tuple(Chosen(item=item.id, arm="random", propensity=0.5, information=None) for item in chosen),
        pool=4,
        random_share=1.0,
        diversity=0.0,
        reward=None,
        provenance=Provenance(seed=0, data_hash="d", code_version="c", config_hash="h"),
        created_at=now,
    )


def test_only_prompts_that_train_may_be_chosen_by_a_reward_and_both_parts_give_in_proportion(workspace, now):
    pool = items(60, now)
    parts = divided(queue_of(workspace.records), pool, campaign=None, count=20)
    splits = splits_of_prompts(workspace.records, {item.prompt for item in pool}, folds=FOLDS)
    assert {splits[prompt_id(item.prompt)] for item in parts.trainable} == {SplitName.TRAIN}
    assert SplitName.TRAIN not in {splits[prompt_id(item.prompt)] for item in parts.others}
    assert len(parts.trainable) + len(parts.others) == 60
    assert parts.wanted == (round(20 * len(parts.trainable) / 60), 20 - round(20 * len(parts.trainable) / 60))


def test_a_whole_pool_can_be_asked_for(workspace, now):
    pool = items(7, now)
    parts = divided(queue_of(workspace.records), pool, campaign=None, count=7)
    assert parts.wanted == (len(parts.trainable), len(parts.others))


def test_what_the_campaign_holds_is_no_longer_in_the_pool(workspace, now):
    campaign = open_campaign(workspace.records, "k", items(5, now), now=now, folds=FOLDS)
    parts = divided(queue_of(workspace.records), items(8, now), campaign=campaign, count=3)
    assert {item.id for item in (*parts.trainable, *parts.others)} == {item.id for item in items(3, now, start=5)}
    with pytest.raises(InputError, match="4 of 3 pairs"):
        divided(queue_of(workspace.records), items(8, now), campaign=campaign, count=4)


def test_rankings_and_checking_items_are_refused(workspace, now):
    ranked = items(1, now)[0].model_copy(update={"others": ("c",)})
    with pytest.raises(InputError, match="is to be ranked.*checks people"):
        divided(queue_of(workspace.records), [ranked], campaign=None, count=1, gold=("f" * 64,))


def test_a_campaign_gains_what_was_chosen_and_is_run_as_before(workspace, now):
    first = open_campaign(
        workspace.records, "k", items(2, now), now=now, folds=FOLDS, run=Run(overlap=2, gold_rate=0.1)
    )
    pool = items(4, now, start=2)
    chosen = selection(pool[1:3], now)
    after = open_selected(workspace.records, chosen, pool, campaign=first, overlap=7, now=now)
    queue = queue_of(workspace.records)
    assert queue.items("k") == 4
    assert queue.wanted("k", pool[1].id) == 2 and queue.wanted("k", pool[0].id) is None
    assert find_campaign(workspace.records, "k").run == first.run == after.run
    assert workspace.records.latest(Selection, subject="k") == chosen


def test_choosing_the_same_twice_stores_it_once(workspace, now):
    pool = items(4, now)
    for _ in range(2):
        open_selected(workspace.records, selection(pool[:2], now), pool, campaign=None, overlap=3, now=now)
    assert workspace.records.count(Selection) == 1
    assert queue_of(workspace.records).items("k") == 2
    assert queue_of(workspace.records).wanted("k", pool[0].id) == 3
