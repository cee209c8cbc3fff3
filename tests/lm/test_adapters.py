"""Adapters: start as the identity, survive a save, switch between policy and reference, keep to the top layers."""

import numpy as np
import pytest
import torch

from assay.lm import LoraSettings, add_lora, completion_logprobs, encode_pair, load, load_adapter, save_adapter
from assay.lm.adapters import policy_parameters, using_adapter
from assay.records.conversation import user_prompt
from assay.records.errors import ModelError


@pytest.fixture
def pair(tiny_lm):
    return encode_pair(tiny_lm, user_prompt("Why is the sky blue?"), "The air scatters blue light.")


def shake(lm):
    with torch.no_grad():
        for parameter in policy_parameters(lm).values():
            parameter.add_(0.05 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(1)))


def test_a_fresh_adapter_changes_nothing(tiny_lm, pair):
    before = completion_logprobs(tiny_lm, [pair])[0]
    add_lora(tiny_lm, LoraSettings(), seed=0)
    np.testing.assert_allclose(completion_logprobs(tiny_lm, [pair])[0], before, atol=1e-6)


def test_the_base_is_still_there_under_a_changed_adapter(tiny_lm, pair):
    before = completion_logprobs(tiny_lm, [pair])[0]
    add_lora(tiny_lm, LoraSettings(), seed=0)
    shake(tiny_lm)
    changed = completion_logprobs(tiny_lm, [pair])[0]
    assert np.abs(changed - before).max() > 1e-3
    with using_adapter(tiny_lm, None):
        np.testing.assert_array_equal(completion_logprobs(tiny_lm, [pair])[0], before)
    np.testing.assert_array_equal(completion_logprobs(tiny_lm, [pair])[0], changed)


def test_a_saved_adapter_loads_to_the_same_policy_and_serves_as_reference_beside_it(tiny_lm, pair, tmp_path):
    add_lora(tiny_lm, LoraSettings(top_layers=2), seed=0)
    shake(tiny_lm)
    saved = completion_logprobs(tiny_lm, [pair])[0]
    save_adapter(tiny_lm, tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["adapter_config.json", "adapter_model.safetensors"]
    again = load(tiny_lm.source)
    load_adapter(again, tmp_path, is_trainable=True)
    load_adapter(again, tmp_path, name="ref")
    again.model.set_adapter("default")
    trainable = {name for name, p in again.model.named_parameters() if p.requires_grad}
    assert trainable == set(policy_parameters(again))
    shake(again)
    moved = completion_logprobs(again, [pair])[0]
    with using_adapter(again, "ref"):
        np.testing.assert_array_equal(completion_logprobs(again, [pair])[0], saved)
    np.testing.assert_array_equal(completion_logprobs(again, [pair])[0], moved)
    assert {name for name, p in again.model.named_parameters() if p.requires_grad} == trainable


def test_only_the_top_layers_are_adapted_when_asked(tiny_lm):
    add_lora(tiny_lm, LoraSettings(top_layers=1), seed=0)
    names = policy_parameters(tiny_lm)
    assert names
    assert all(".layers.3." in name for name in names)


def test_a_directory_that_is_no_adapter_is_refused_in_one_sentence(tiny_lm, tmp_path):
    with pytest.raises(ModelError, match="expected a LoRA adapter"):
        load_adapter(tiny_lm, tmp_path)
