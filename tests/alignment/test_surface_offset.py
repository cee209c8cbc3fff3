"""What choices owe to the surface: found on labels whose answer is known in closed form, and kept out of the policy."""

import math

import numpy as np
import pytest
import torch
from alignment_cases import NOW
from hypothesis import given
from hypothesis import strategies as st

from assay.alignment.dpo import DpoTask
from assay.alignment.settings import DpoSettings
from assay.alignment.surface_offset import surface_offset
from assay.lm import LoraSettings, add_lora, load
from assay.records.conversation import user_prompt
from assay.records.preference import Preference

LOUD, CALM = "Take the train!", "Take the train."


def pair(number, chosen, rejected, probability=1.0):
    return Preference(
        created_at=NOW,
        prompt=user_prompt(f"Question {number}?"),
        chosen=chosen,
        rejected=rejected,
        probability=probability,
        weight=1.0,
        margin=0.0,
        standard_error=0.3,
        judgements=(str(number),),
        annotators=("a",),
        aggregation="x",
    )


def three_of_four():
    """Of each four pairs of a loud and a calm completion three prefer the loud one."""
    return [pair(i, CALM, LOUD) if i % 4 == 0 else pair(i, LOUD, CALM) for i in range(40)]


def offsets_of(preferences, names=("exclamations",), weight=None):
    weight = np.ones(len(preferences)) if weight is None else weight
    return surface_offset(preferences, names, np.array([one.probability for one in preferences]), weight)


def test_where_three_of_four_prefer_the_loud_one_loudness_is_worth_the_logarithm_of_three():
    expected = [-math.log(3) if i % 4 == 0 else math.log(3) for i in range(40)]
    assert offsets_of(three_of_four()) == pytest.approx(expected, rel=0.02)  # a small ridge pulls to zero


def test_unsure_labels_say_the_same_as_divided_ones():
    unsure = [pair(i, LOUD, CALM, probability=0.75) for i in range(8)]
    assert offsets_of(unsure) == pytest.approx([math.log(3)] * 8, rel=0.02)


def test_weights_count_as_so_many_labels():
    rows = [pair(0, LOUD, CALM), pair(1, CALM, LOUD)]
    found = offsets_of(rows, weight=np.array([3.0, 1.0]))
    assert found == pytest.approx([math.log(3), -math.log(3)], rel=0.02)


def test_a_column_that_is_equal_in_every_pair_gives_nothing():
    assert offsets_of(three_of_four(), ("questions", "list_marks")).tolist() == [0.0] * 40


@given(st.lists(st.booleans(), min_size=1, max_size=12))
def test_a_pair_turned_round_turns_its_offset_round(prefers_loud):
    rows = [pair(i, LOUD, CALM) if loud else pair(i, CALM, LOUD) for i, loud in enumerate(prefers_loud)]
    turned = [pair(i, one.rejected, one.chosen) for i, one in enumerate(rows)]
    never, ones = np.zeros(len(rows)), np.ones(len(rows))
    np.testing.assert_allclose(surface_offset(turned, ["exclamations"], never, ones), -offsets_of(rows), atol=1e-5)


@pytest.mark.parametrize("loss_type", ["sigmoid", "robust", "rpo", "sigmoid_norm", "chipo"])
def test_the_loss_at_the_reference_is_that_of_the_offset_alone(tiny_model_dir, loss_type):
    def loss(**changes):
        settings = DpoSettings(
            loss_type=loss_type,
            per_device_train_batch_size=40,
            sft_weight=0.0,
            lora=LoraSettings(r=4, top_layers=1),
            **changes,
        )
        lm = load(str(tiny_model_dir), dtype=torch.float32)
        add_lora(lm, settings.lora, seed=0)
        return DpoTask(lm, three_of_four(), settings, seed=4, ref_adapter=None).loss(0).value.item()

    # As likely as the people's own choices are: the entropy of three in four.
    entropy = -(0.75 * math.log(0.75) + 0.25 * math.log(0.25))
    assert loss(surface_offset=("exclamations",)) == pytest.approx(entropy, rel=1e-3)
    assert loss() == pytest.approx(math.log(2), rel=1e-3)


def test_at_equal_surface_nothing_is_left_to_learn_of_loudness(tiny_model_dir):
    """The mean slope of the loss along the loud side is zero with the offset, and pulls to the loud side without it."""

    def slope(**changes):
        settings = DpoSettings(
            per_device_train_batch_size=40, sft_weight=0.0, lora=LoraSettings(r=4, top_layers=1), **changes
        )
        lm = load(str(tiny_model_dir), dtype=torch.float32)
        add_lora(lm, settings.lora, seed=0)
        rows = three_of_four()
        margin = DpoTask(lm, rows, settings, seed=4, ref_adapter=None)._labels.margin
        z = torch.zeros(len(rows)) if margin is None else -margin
        is_loud = torch.tensor([1.0 if one.chosen == LOUD else -1.0 for one in rows])
        return float((is_loud * (torch.sigmoid(z) - 1)).mean())

    assert slope(surface_offset=("exclamations",)) == pytest.approx(0, abs=5e-3)
    assert slope() == pytest.approx(-0.25, abs=1e-6)


def test_a_name_that_is_no_column_is_refused_with_the_names_that_are():
    with pytest.raises(ValueError, match=r"expected names among .*log_words.*got \['words'\]"):
        DpoSettings(surface_offset=("words",))


@pytest.mark.parametrize("loss_type", ["ipo", "kto"])
def test_losses_with_a_target_of_their_own_refuse_it(loss_type):
    with pytest.raises(ValueError, match="surface_offset has no place in"):
        DpoSettings(loss_type=loss_type, surface_offset=("log_words",))
