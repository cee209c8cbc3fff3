"""What the aggregation knows reaches the loss: label, weight and margin of a preference, by numbers worked by hand.

The policy is the reference, so every log-ratio is 0 and the loss of a pair is that of z = -margin.
"""

import math

import pytest
import torch
from alignment_cases import NOW

from assay.alignment.dpo import DpoTask
from assay.alignment.settings import DpoSettings
from assay.lm import LoraSettings, add_lora, load
from assay.records.conversation import user_prompt
from assay.records.preference import Preference


def row(number, **known):
    return Preference(
        created_at=NOW,
        prompt=user_prompt(f"Question {number}?"),
        chosen=f"A long answer about thing {number}.",
        rejected=f"No {number}.",
        standard_error=0.3,
        judgements=(str(number),),
        annotators=("a",),
        aggregation="x",
        **known,
    )


ROWS = [row(0, probability=0.8, weight=0.5, margin=1.0), row(1, probability=0.6, weight=1.5, margin=2.0)]


@pytest.fixture
def loss(tiny_model_dir):
    def of(**changes):
        plain = {"per_device_train_batch_size": 2, "sft_weight": 0.0, "lora": LoraSettings(r=4, top_layers=1)}
        lm = load(str(tiny_model_dir), dtype=torch.float32)
        settings = DpoSettings(**plain | changes)
        add_lora(lm, settings.lora, seed=0)
        return DpoTask(lm, ROWS, settings, seed=4, ref_adapter=None).loss(0).value.item()

    return of


def logistic(z):
    return math.log1p(math.exp(-z))


def of_hinge(z):
    return max(0.0, 1 - z)


KINDS = dict.fromkeys(("sigmoid", "robust", "rpo", "sigmoid_norm", "chipo"), logistic) | {"hinge": of_hinge}


def by_hand(kind, *, labels, weights, scale):
    """Mean over both rows of weight / mean weight times p l(z) + (1 - p) l(-z), at z = -scale margin."""
    total = 0.0
    for one in ROWS:
        p = one.probability if labels else 1.0
        z = -scale * one.margin
        total += (one.weight if weights else 1.0) * (p * kind(z) + (1 - p) * kind(-z))
    return total / 2


@pytest.mark.parametrize("name", KINDS)
def test_label_weight_and_margin_of_a_preference_reach_each_loss_that_has_a_place_for_them(loss, name):
    kind = KINDS[name]
    every = {"loss_type": name, "soft_labels": True, "use_weights": True, "margin_scale": 0.5}
    expected = by_hand(kind, labels=True, weights=True, scale=0.5)
    assert loss(**every) == pytest.approx(expected, rel=1e-4)
    # Each of the three makes a difference, and its own one.
    for off, changed in (
        ({"soft_labels": False}, {"labels": False}),
        ({"use_weights": False}, {"weights": False}),
        ({"margin_scale": 0.0}, {"scale": 0.0}),
    ):
        without = by_hand(kind, **{"labels": True, "weights": True, "scale": 0.5} | changed)
        assert loss(**every | off) == pytest.approx(without, rel=1e-4)
        assert abs(without - expected) > 1e-3


def test_robust_takes_the_noise_out_of_soft_labels_and_conservative_puts_it_in(loss):
    def softened(p, eps, is_robust):
        return (p - eps) / (1 - 2 * eps) if is_robust else (1 - eps) * p + eps * (1 - p)

    for name, is_robust in (("robust", True), ("sigmoid", False)):
        expected = 0.0
        for one in ROWS:
            p = softened(one.probability, 0.1, is_robust)
            expected += (p * logistic(-one.margin) + (1 - p) * logistic(one.margin)) / 2
        found = loss(loss_type=name, label_smoothing=0.1, margin_scale=1.0)
        assert found == pytest.approx(expected, rel=1e-4)


def test_ipo_is_a_quarter_of_the_inverse_square_and_kto_a_half_of_its_weights_at_the_reference(loss):
    # IPO: (0 - 1 / (2 x 0.1))^2 = 25 either way round. KTO: s(0) of each completion, so 0.5 of each weight; a label of
    # p counts the chosen one as desired with p and as undesired with 1 - p.
    assert loss(loss_type="ipo") == pytest.approx(25.0, rel=1e-4)
    assert loss(loss_type="kto", soft_labels=False, desirable_weight=2.0) == pytest.approx(
        (0.5 * 2 + 0.5) / 2, rel=1e-4
    )
    mean_p = 0.7
    of_chosen = 0.5 * (2.0 * mean_p + 1.0 * (1 - mean_p))
    of_rejected = 0.5 * (1.0 * mean_p + 2.0 * (1 - mean_p))
    found = loss(loss_type="kto", desirable_weight=2.0)
    assert found == pytest.approx((of_chosen + of_rejected) / 2, rel=1e-4)
    weighted = loss(loss_type="ipo", use_weights=True)
    assert weighted == pytest.approx(25.0 * (0.5 + 1.5) / 2, rel=1e-4)


@pytest.mark.parametrize("name", ["cpo", "orpo", "simpo"])
def test_losses_without_a_reference_take_label_weight_and_margin_too(loss, name):
    base = {"loss_type": name, "beta": 0.5}
    found = {
        key: loss(**base, **change)
        for key, change in (
            ("plain", {"soft_labels": False}),
            ("labels", {}),
            ("weights", {"soft_labels": False, "use_weights": True}),
            ("margins", {"soft_labels": False, "margin_scale": 1.0}),
        )
    }
    assert len({round(value, 5) for value in found.values()}) == 4
    assert found["margins"] > found["plain"]
