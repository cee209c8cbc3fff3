"""Learning: each kind learns what it is for, says what it is worth on unseen rows, and refuses data that lacks it."""

from functools import partial

import numpy as np
import pytest
from kind_cases import CHOICE, CITY, VILLAGE, told
from reward_cases import prompt_number

from assay.lm import load
from assay.records.errors import TrainingError
from assay.rewards.attributes import AttributeSettings
from assay.rewards.cost import CostSettings
from assay.rewards.groups import EVERYONE
from assay.rewards.learning import LEARNERS, Means, Told, amount_of_work, learn
from assay.rewards.protocol import reading


@pytest.fixture(scope="module")
def open_model(tiny_model_dir):
    return partial(load, str(tiny_model_dir))


@pytest.fixture(scope="module")
def lm(open_model):
    return open_model()


@pytest.fixture(scope="module")
def fit(lm, open_model):
    def of(kind, data=None, progress=None, **changes):
        choice = CHOICE.model_copy(update={"kind": kind, **changes})
        return learn(data or told(), choice, Means(lm, open_model, seed=1, progress=progress))

    return of


@pytest.fixture(scope="module")
def learnt(fit):
    return {kind: fit(kind) for kind in LEARNERS}


def rewards(lm, found, *texts):
    return reading(found.reward, lm).score_texts([prompt_number(99)] * len(texts), list(texts))


@pytest.mark.parametrize("kind", LEARNERS)
def test_every_kind_states_what_it_is_worth_on_what_it_has_not_seen(learnt, kind):
    found = learnt[kind]
    assert found.reward.kind == kind
    assert found.quality.accuracy > 0.8
    assert found.quality.nll < np.log(2)
    assert 0 <= found.quality.ece < 0.35
    assert found.fitted > 0
    data = told()
    assert set(found.rows) <= {j.id for j in data.judgements}
    if kind == "cost":
        assert found.calibration_prompts is None
        return
    held_out = set(found.calibration_prompts)
    assert len(held_out) == 4
    assert found.quality.pairs == 16
    assert found.fitted == 48
    assert set(found.rows) == {j.id for j in data.judgements}  # calibration saw the rest: the firewall must know
    assert found.reward.calibrator.temperature == found.quality.temperature


def test_attribute_heads_have_unit_spread_together_and_their_weights_are_told(learnt, lm):
    found = learnt["attributes"]
    usefulness, detail = found.parts
    assert (usefulness.name, detail.name) == ("usefulness", "detail")
    assert usefulness.weight > detail.weight >= 0
    assert min(usefulness.accuracy, detail.accuracy) > 0.7
    fitted = [p for p in told().preferences if p.prompt_id not in found.calibration_prompts]
    texts = list(dict.fromkeys((p.prompt, text) for p in fitted for text in (p.chosen, p.rejected)))
    scores = reading(found.reward, lm).score_texts(*zip(*texts, strict=True))
    assert scores.reward.std() == pytest.approx(1.0, abs=0.02)


def test_groups_learn_from_their_own_views_and_the_worst_off_decides(fit, lm):
    found = fit("groups", groups=CHOICE.groups.model_copy(update={"combination": "worst_off"}))
    assert [part.name for part in found.parts] == [EVERYONE, CITY, VILLAGE]
    assert [part.rows for part in found.parts] == [48, 48, 48]
    assert all(part.accuracy > 0.8 for part in found.parts)
    scores = rewards(lm, found, "Paris Paris Paris day.", "sleep sleep sleep day.")
    everyone, city, village = (scores.members[0] - scores.members[1]).tolist()
    assert everyone > 0 and city > 0 > village
    np.testing.assert_array_equal(scores.reward, scores.members.min(1))
    assert found.quality.accuracy < 0.8  # who pleases the worse off of two that want opposites pleases nobody much


def test_a_cost_is_high_where_people_marked_harm(learnt, lm):
    found = learnt["cost"]
    scores = rewards(lm, found, "cannot cannot cannot day.", "Paris Paris Paris day.")
    assert scores.reward[0] < 0 < scores.reward[1]
    assert "violations missed" in found.notes[0]
    assert found.quality.calibration == "platt"
    assert found.quality.pairs == found.fitted == 128  # both completions of each judgement of somebody who marks


def test_who_marks_nothing_says_nothing_of_violations(fit):
    data = told()
    silent = [j.model_copy(update={"annotator": "bob", "critiques": ()}) for j in data.judgements]
    with pytest.raises(TrainingError, match="completions with critiques by people; got none"):
        fit("cost", Told(data.preferences, silent))
    with pytest.raises(TrainingError, match="at least 4 violations .* got 0 and 128"):
        fit("cost", data, cost=CostSettings(categories=("rude",)))


def test_what_was_not_collected_is_named_with_what_to_do(fit):
    with pytest.raises(TrainingError, match="views of groups that differ; got none; fit .*--traits"):
        fit("groups", told(with_views=False))
    with pytest.raises(TrainingError, match="judgements of 'honesty'"):
        fit("attributes", attributes=AttributeSettings(names=("honesty",)))
    with pytest.raises(TrainingError, match="at least 8 preferences on 4 prompts; got 4 on 1"):
        fit("groups", told(prompts=1))


def test_members_of_a_tuned_reward_are_an_ensemble_or_one_average(fit):
    several = CHOICE.tuned.model_copy(update={"members": 2})
    found = fit("tuned", tuned=several)
    assert len(found.reward.members) == len(found.member_accuracy) == 2
    assert sum(part.count for part in found.quality.by_spread) == 16
    averaged = fit("tuned", tuned=several.model_copy(update={"is_averaged": True}))
    assert len(averaged.reward.members) == 1


@pytest.mark.parametrize("kind", ["groups", "tuned"])
def test_the_listener_is_told_of_no_more_work_than_was_announced(fit, kind):
    done = []
    fit(kind, progress=done.append)
    announced = amount_of_work(told(), CHOICE.model_copy(update={"kind": kind}))
    assert 0 < sum(done) <= announced
