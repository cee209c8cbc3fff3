"""Recalibration: out of sample, on the prompts that were held out, and refused where there are too few."""

from datetime import UTC, datetime

import numpy as np
import pytest

from assay.records.conversation import user_prompt
from assay.records.errors import StorageError, TrainingError
from assay.records.preference import Preference
from assay.rewards import RewardSettings, read_features, recalibrate, train_reward
from assay.rewards.reliability_plot import draw_reliability

WORDS = ["sky", "blue", "light", "water", "sleep", "walk", "friend", "capital", "France", "city"]


@pytest.fixture(scope="module")
def preferences():
    """Sixty prompts with two pairs each; longer is better, but of the sure pairs every fourth says the opposite."""
    rng = np.random.default_rng(0)
    made = []
    for i in range(120):
        short = " ".join(rng.choice(WORDS, size=int(rng.integers(2, 6)))) + "."
        long = " ".join(rng.choice(WORDS, size=int(rng.integers(10, 20)))) + "."
        chosen, rejected = (short, long) if i % 4 == 0 else (long, short)
        made.append(
            Preference(
                created_at=datetime(2026, 1, 1, tzinfo=UTC),
                prompt=user_prompt(f"Question {i // 2}?"),
                chosen=chosen,
                rejected=rejected,
                margin=3.0,
                standard_error=0.5,
                probability=0.95,
                judgements=(f"j{i}",),
                annotators=("ann",),
                aggregation="a",
            )
        )
    return made


@pytest.fixture(scope="module")
def trained(tiny_model_dir, preferences):
    from assay.lm import load

    lm = load(str(tiny_model_dir))
    reward = train_reward(lm, preferences, RewardSettings(directions=6, calibration_share=0.5), seed=0)
    return lm, reward, [p for p in preferences if p.prompt_id in reward.calibration_prompts]


def test_the_held_out_prompts_are_those_that_the_quality_was_measured_on(trained):
    _, reward, held_out = trained
    assert len(held_out) == reward.quality.pairs == 60
    assert len(reward.calibration_prompts) == 30


@pytest.mark.parametrize("method", ["temperature", "isotonic"])
def test_a_reward_that_was_made_too_sure_is_brought_back(trained, method):
    lm, reward, held_out = trained
    sure = reward.ensemble._replace(temperature=0.05)
    made = recalibrate(lm, sure, held_out, method=method, rng=np.random.default_rng(0))
    assert made.quality.calibration == method
    assert made.quality.nll < 0.69 + 0.05
    assert made.quality.ece < 0.15
    assert (made.calibrator.isotonic is not None) == (method == "isotonic")
    again = recalibrate(lm, sure.calibrated(made.calibrator), held_out, method=method, rng=np.random.default_rng(0))
    assert again.quality == made.quality


def test_the_kept_temperature_is_that_of_all_held_out_pairs(trained):
    lm, reward, held_out = trained
    made = recalibrate(lm, reward.ensemble, held_out, method="temperature", rng=np.random.default_rng(1))
    assert made.calibrator.temperature == pytest.approx(reward.ensemble.temperature)


def test_the_report_is_out_of_sample(trained):
    # Labels by a coin: a curve read on its own pairs follows the noise, one read across the halves cannot.
    lm, reward, held_out = trained
    rng = np.random.default_rng(2)
    coin = [
        p if rng.random() < 0.5 else p.model_copy(update={"chosen": p.rejected, "rejected": p.chosen}) for p in held_out
    ]
    made = recalibrate(lm, reward.ensemble, coin, method="isotonic", rng=np.random.default_rng(0))
    curve = made.calibrator.isotonic
    rows = [(p.prompt, text) for p in coin for text in (p.chosen, p.rejected)]
    features = read_features(lm, *zip(*rows, strict=True), layers=reward.ensemble.layers)
    score = reward.ensemble.score(features).reward
    p = curve.probability(score[::2] - score[1::2])
    in_sample = -np.mean(0.95 * np.log(p) + 0.05 * np.log(1 - p))
    assert made.quality.nll > in_sample + 0.005


def test_too_few_held_out_pairs_are_refused(trained):
    lm, reward, held_out = trained
    with pytest.raises(TrainingError, match="at least 4 held-out preferences on 2 prompts; got 2 on 1"):
        recalibrate(lm, reward.ensemble, held_out[:2], method="temperature", rng=np.random.default_rng(0))


def test_the_diagram_is_drawn_the_same_each_time_and_a_bad_place_is_refused(trained, tmp_path):
    _, reward, _ = trained
    for name in ("one.svg", "two.svg"):
        draw_reliability(reward.quality, tmp_path / name, title="proxy")
    drawn = (tmp_path / "one.svg").read_text()
    assert drawn == (tmp_path / "two.svg").read_text()
    assert f"ECE {reward.quality.ece:.3f}" in drawn
    with pytest.raises(StorageError, match="to write"):
        draw_reliability(reward.quality, tmp_path / "absent" / "one.svg", title="proxy")
