"""Stored: each kind is written under its tag and opened by one loader, unchanged; what does not fit is refused."""

import json
from functools import partial

import numpy as np
import pytest
from kind_cases import CHOICE, told
from reward_cases import prompt_number

from assay.lm import load
from assay.records.errors import ModelError, StorageError
from assay.rewards.calibrated_heads import CalibratedHeads
from assay.rewards.calibration import Calibrator, IsotonicMap
from assay.rewards.ensemble import RewardEnsemble
from assay.rewards.learning import LEARNERS, Means, learn
from assay.rewards.protocol import RewardModel, reading
from assay.rewards.stored import open_stored

PROMPTS = [prompt_number(k) for k in range(3)]
TEXTS = ["Paris capital day.", "I cannot sleep.", "Sky."]
CURVE = IsotonicMap(np.array([-1.0, 0.0, 1.0]), np.array([0.1, 0.5, 0.9]))


@pytest.fixture(scope="module")
def open_model(tiny_model_dir):
    return partial(load, str(tiny_model_dir))


@pytest.fixture(scope="module")
def lm(open_model):
    return open_model()


@pytest.fixture(scope="module")
def made(open_model, lm):
    data = told()
    return {
        k: learn(data, CHOICE.model_copy(update={"kind": k}), Means(lm, open_model, seed=1)).reward for k in LEARNERS
    }


@pytest.mark.parametrize("kind", LEARNERS)
def test_what_was_stored_is_opened_by_its_tag_and_scores_the_same(made, lm, open_model, tmp_path, kind):
    reward = made[kind]
    reward.save(tmp_path)
    assert json.loads((tmp_path / "reward.json").read_text()).get("kind") == (None if kind == "ensemble" else kind)
    again = open_stored(tmp_path, open_model)
    assert isinstance(again, RewardModel)
    assert (again.kind, len(again.members), again.aggregation) == (kind, len(reward.members), reward.aggregation)
    assert again.calibrator.temperature == reward.calibrator.temperature
    one, other = (reading(each, lm).score_texts(PROMPTS, TEXTS) for each in (reward, again))
    np.testing.assert_allclose(other.reward, one.reward, atol=1e-6)
    np.testing.assert_allclose(other.members, one.members, atol=1e-6)


@pytest.mark.parametrize("kind", LEARNERS)
def test_a_curve_stays_with_the_reward_and_changes_no_score(made, lm, open_model, tmp_path, kind):
    curved = made[kind].calibrated(Calibrator(isotonic=CURVE))
    curved.save(tmp_path)
    again = open_stored(tmp_path, open_model)
    np.testing.assert_allclose(again.calibrator.logits(np.array([1.0])), np.log(9))
    np.testing.assert_allclose(
        reading(again, lm).score_texts(PROMPTS, TEXTS).reward, _rewards(made[kind], lm), atol=1e-6
    )


def _rewards(reward, lm):
    return reading(reward, lm).score_texts(PROMPTS, TEXTS).reward


def test_only_estimates_of_one_thing_take_another_aggregation(made, lm):
    for kind in ("attributes", "groups", "cost"):
        assert made[kind].with_aggregation("wco") is made[kind]
    for kind in ("ensemble", "tuned"):
        worst = made[kind].with_aggregation("wco")
        assert worst.aggregation == "wco" != made[kind].aggregation
        scores = reading(worst, lm).score_texts(PROMPTS, TEXTS)
        np.testing.assert_array_equal(scores.reward, scores.members.min(1))


def test_two_copies_of_a_tuned_reward_in_one_model_do_not_mix_their_members(open_model):
    several = CHOICE.tuned.model_copy(update={"members": 2})
    choice = CHOICE.model_copy(update={"kind": "tuned", "tuned": several})
    one = learn(told(), choice, Means(open_model(), open_model, seed=1)).reward
    other = one.with_aggregation("wco")
    first = one.score_texts(PROMPTS, TEXTS).members
    for reward in (other, one, other):
        np.testing.assert_array_equal(reward.score_texts(PROMPTS, TEXTS).members, first)


def test_a_tuned_reward_of_another_model_is_refused(made, open_model, tmp_path):
    made["tuned"].save(tmp_path)

    def other():
        lm = open_model()
        lm.id = "0" * 64
        return lm

    with pytest.raises(ModelError, match="expected members trained from model"):
        open_stored(tmp_path, other)


def test_an_unknown_tag_an_empty_directory_and_broken_json_are_refused(open_model, tmp_path):
    with pytest.raises(StorageError, match="expected a reward in"):
        open_stored(tmp_path, open_model)
    for text, said in (('{"kind": "oracle"}', "got 'oracle'; open it with the version"), ("[", "expected a reward in")):
        (tmp_path / "reward.json").write_text(text)
        with pytest.raises(StorageError, match=said):
            open_stored(tmp_path, open_model)


@pytest.mark.parametrize(
    ("kind", "file", "change", "said"),
    [
        ("groups", "heads.json", {"rest": {"combination": "loudest"}}, "combination 'loudest'"),
        ("groups", "heads.json", {"names": ["everyone"]}, "theta for .* heads, not 1"),
        ("attributes", "heads.json", {"rest": {"weights": [1.0]}}, "weights for"),
        ("attributes", "heads.json", {"rest": {}}, "attributes without 'weights'"),
        ("cost", "reward.json", {"temperature": 0.0}, "greater than 0"),
        ("tuned", "reward.json", {"aggregation": "loudest"}, "expected one of"),
        ("tuned", "reward.json", {"members": []}, "expected a tuned reward"),
        ("ensemble", "reward.json", {"members": 3}, "train it again"),
    ],
)
def test_parts_that_do_not_fit_together_are_named(made, open_model, tmp_path, kind, file, change, said):
    made[kind].save(tmp_path)
    plain = json.loads((tmp_path / file).read_text())
    (tmp_path / file).write_text(json.dumps(plain | change))
    with pytest.raises(StorageError, match=said):
        open_stored(tmp_path, open_model)


@pytest.mark.parametrize("kind", ["attributes", "groups", "tuned"])
def test_a_missing_file_is_told(made, open_model, tmp_path, kind):
    made[kind].save(tmp_path)
    next(tmp_path.glob("*.safetensors")).unlink()
    with pytest.raises(StorageError):
        open_stored(tmp_path, open_model)


def test_an_ensemble_is_stored_as_it_always_was(made, tmp_path):
    made["ensemble"].save(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["reward.json", "reward.safetensors"]
    described = json.loads((tmp_path / "reward.json").read_text())
    assert sorted(described) == ["aggregation", "layers", "members", "outlier_cut", "temperature"]
    assert isinstance(RewardEnsemble.open(tmp_path), RewardEnsemble)
    assert not isinstance(made["groups"], RewardEnsemble)
    assert isinstance(made["groups"], CalibratedHeads)
