"""Feedback select as a user meets it: by a tiny model's reward, and at random where there is none."""

import pytest
from command_line import WORDS, done, judgement_rows, refused, write_rows

from assay.feedback import queue_of
from assay.feedback.selection import Selection
from assay.records.reward import RewardVersion
from assay.storage import Workspace


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A directory with a pool of forty pairs."""
    directory = tmp_path_factory.mktemp("selected")
    rows = [
        {"prompt": f"Tell me of {WORDS[n % 10]} {n}.", "first": f"{WORDS[(n + 1) % 10]}.", "second": "no."}
        for n in range(40)
    ]
    write_rows(directory / "pool.jsonl", rows)
    return directory


@pytest.fixture(scope="module")
def learnt(tiny_model_dir, place):
    space = place / "space"
    done("init", "-w", space, "--model", tiny_model_dir)
    done("feedback", "import", write_rows(place / "j.jsonl", judgement_rows()), "-w", space)
    done("preferences", "fit", "-w", space)
    done("reward", "train", "-w", space, "--set", "directions=4")
    return space


def stored(space):
    workspace = Workspace(space)
    found = workspace.records.latest(Selection)
    items = queue_of(workspace.records).items(found.campaign)
    reward = workspace.records.latest(RewardVersion)
    workspace.close()
    return found, items, reward


def test_a_reward_chooses_all_but_the_declared_share_and_the_record_says_how(learnt, place):
    said = done("feedback", "select", "next", place / "pool.jsonl", "--count", 20, "-w", learnt, "--overlap", 2)
    selection, items, reward = stored(learnt)
    assert items == 20 == len(selection.items)
    assert selection.reward == reward.id and selection.pool == 40
    informative = [one for one in selection.items if one.arm == "informative"]
    assert informative and all(one.propensity is None and one.information >= 0 for one in informative)
    drawn = [one for one in selection.items if one.arm == "random"]
    assert all(0 < one.propensity <= 1 for one in drawn)
    assert f"20 of 40 pairs: {len(drawn)} at random, {len(informative)} by what they teach" in said

    done("feedback", "select", "next", place / "pool.jsonl", "--count", 10, "-w", learnt)
    more, items, _ = stored(learnt)
    assert items == 30 and more.pool == 20
    assert {one.item for one in more.items}.isdisjoint(one.item for one in selection.items)


def test_without_a_reward_only_a_random_draw_is_made(place, tmp_path):
    space = tmp_path / "bare"
    done("init", "-w", space)
    told = refused("feedback", "select", "k", place / "pool.jsonl", "--count", 8, "-w", space)
    assert "--random-share 1" in told
    done("feedback", "select", "k", place / "pool.jsonl", "--count", 8, "-w", space, "--random-share", 1)
    selection, items, _ = stored(space)
    assert items == 8 and selection.reward is None
    assert {one.arm for one in selection.items} == {"random"}
    # The two parts are drawn each with one chance, and in proportion of the pool: 8 of 40.
    assert sum(1 / one.propensity for one in selection.items) == pytest.approx(40)
