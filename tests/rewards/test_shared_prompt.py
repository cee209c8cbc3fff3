"""Shared prompt: states equal those of each row alone, the completions do not see each other, gradients included."""

import torch
from reward_cases import marked_preferences

from assay.lm.packing import can_pack
from assay.rewards.tuning.finetune import encode_choices
from assay.rewards.tuning.shared_prompt import choice_states


def alone(lm, choices):
    """Last states [2, pairs, width], one row at a time."""
    rows = [c.prompt + c.chosen for c in choices] + [c.prompt + c.rejected for c in choices]
    states = [lm.body(input_ids=torch.tensor([row]), use_cache=False).last_hidden_state[0, -1] for row in rows]
    return torch.stack(states).unflatten(0, (2, len(choices)))


def uneven_choices(lm, now):
    preferences = marked_preferences(now, prompts=3, pairs=1)
    longer = preferences[1].model_copy(update={"chosen": preferences[1].chosen * 4, "rejected": "No."})
    return encode_choices(lm, [preferences[0], longer, preferences[2]])


def test_one_copy_of_the_prompt_gives_the_states_of_two(tiny_lm, now):
    choices = uneven_choices(tiny_lm, now)
    assert can_pack(tiny_lm)
    with torch.no_grad():
        shared = choice_states(tiny_lm, choices)
        plain = alone(tiny_lm, choices)
    assert shared.shape == (2, 3, 32)
    torch.testing.assert_close(shared, plain, atol=2e-5, rtol=1e-4)


def test_the_rejected_does_not_see_the_chosen(tiny_lm, now):
    one = uneven_choices(tiny_lm, now)[0]
    other = one._replace(chosen=[*reversed(one.chosen[:-1]), one.chosen[-1]])
    with torch.no_grad():
        before, after = choice_states(tiny_lm, [one]), choice_states(tiny_lm, [other])
    torch.testing.assert_close(before[1], after[1])
    assert (before[0] - after[0]).abs().max() > 1e-3


def test_gradients_are_those_of_plain_rows(tiny_lm, now):
    choices = uneven_choices(tiny_lm, now)
    weight = tiny_lm.body.layers[0].self_attn.q_proj.weight
    weight.requires_grad_(True)
    direction = torch.randn(32, generator=torch.Generator().manual_seed(0))
    shared = torch.autograd.grad((choice_states(tiny_lm, choices) @ direction).square().sum(), weight)[0]
    plain = torch.autograd.grad((alone(tiny_lm, choices) @ direction).square().sum(), weight)[0]
    torch.testing.assert_close(shared, plain, atol=1e-3, rtol=1e-3)


def test_a_model_with_sliding_windows_gets_plain_rows(tiny_lm, now, monkeypatch):
    choices = uneven_choices(tiny_lm, now)
    monkeypatch.setattr(tiny_lm.causal.config, "layer_types", ["sliding_attention"] * 4, raising=False)
    assert not can_pack(tiny_lm)
    with torch.no_grad():
        found = choice_states(tiny_lm, choices)
        expected = alone(tiny_lm, choices)
    torch.testing.assert_close(found, expected, atol=2e-5, rtol=1e-4)
