"""Log-probabilities: packed, padded and by the full softmax they are one, with their gradients; no logits are kept."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from assay.lm import LoraSettings, add_lora, completion_logprobs, load, logprobs
from assay.lm.adapters import policy_parameters
from assay.lm.chat import EncodedPair
from assay.lm.logprobs import head_logprobs, pad, padded_logprobs, sequence_logprobs, token_logprobs

PAIRS = [
    EncodedPair([5, 6, 7, 8], [9, 10, 2]),
    EncodedPair([11], [12, 13, 14, 15, 16, 2]),
    EncodedPair([5, 6, 7, 8], [2]),
    EncodedPair([17, 18], []),
    EncodedPair([5, 6, 7, 8], [20] * 40),
]


@pytest.fixture(scope="module")
def policy(tiny_model_dir):
    lm = load(str(tiny_model_dir), dtype=torch.float32)
    add_lora(lm, LoraSettings(r=4), seed=0)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in policy_parameters(lm).values():
            parameter.add_(0.05 * torch.randn(parameter.shape, generator=generator))
    return lm


def by_full_softmax(lm, pair):
    logits = lm.causal(torch.tensor([pair.prompt + pair.completion])).logits[0, len(pair.prompt) - 1 : -1].float()
    return logits.log_softmax(1).gather(1, torch.tensor(pair.completion)[:, None])[:, 0]


def gradients(lm, values):
    """Gradients of a weighted sum of the values, so that no token's slope can hide behind another's."""
    weights = torch.randn(len(values), generator=torch.Generator().manual_seed(1))
    found = torch.autograd.grad((weights * values).sum(), list(policy_parameters(lm).values()))
    return torch.cat([one.flatten() for one in found])


@settings(max_examples=25, deadline=None)
@given(st.permutations(PAIRS), st.integers(1, 5))
def test_packed_is_padded_is_the_full_softmax_gradients_included(policy, pairs, count):
    chosen = pairs[:count]
    if not any(pair.completion for pair in chosen):
        return
    alone = torch.cat([by_full_softmax(policy, pair) for pair in chosen if pair.completion])
    expected = gradients(policy, alone)
    for found in (token_logprobs(policy, chosen), padded_logprobs(policy, pad(chosen, policy.pad_id))):
        torch.testing.assert_close(found, alone, atol=1e-5, rtol=1e-5)
        close = (gradients(policy, found) - expected).norm() / expected.norm()
        assert float(close) < 1e-5


def test_sums_go_to_the_pair_whose_tokens_they_are(policy):
    with torch.no_grad():
        sums = sequence_logprobs(policy, PAIRS)
        for pair, found in zip(PAIRS, sums, strict=True):
            expected = by_full_softmax(policy, pair).sum() if pair.completion else torch.tensor(0.0)
            torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-5)


@pytest.mark.parametrize("batch_tokens", [1, 30, 4096])
def test_scores_do_not_depend_on_how_the_pairs_are_batched(policy, batch_tokens):
    scored = completion_logprobs(policy, PAIRS, batch_tokens=batch_tokens)
    assert [len(one) for one in scored] == [3, 6, 1, 0, 40]
    with torch.no_grad():
        for pair, found in zip(PAIRS, scored, strict=True):
            if pair.completion:
                np.testing.assert_allclose(found, by_full_softmax(policy, pair).numpy(), atol=1e-5, rtol=1e-5)


def test_a_model_that_cannot_be_packed_is_padded_to_the_same_numbers(policy, monkeypatch):
    packed = completion_logprobs(policy, PAIRS)
    monkeypatch.setattr(logprobs, "can_pack", lambda _: False)
    monkeypatch.setattr(logprobs, "packed_states", None)  # would be called and fail
    for one, other in zip(packed, completion_logprobs(policy, PAIRS), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("is_frozen", [True, False])
@pytest.mark.parametrize("has_bias", [True, False])
def test_a_head_s_gradient_is_autograd_s_in_any_chunking(monkeypatch, is_frozen, has_bias):
    monkeypatch.setattr(logprobs, "HEAD_CHUNK", 3)
    generator = torch.Generator().manual_seed(2)
    head = torch.nn.Linear(4, 11, bias=has_bias).requires_grad_(not is_frozen)
    states = torch.randn(8, 4, generator=generator, requires_grad=True)
    targets = torch.randint(11, (8,), generator=generator)
    upstream = torch.randn(8, generator=generator)
    expected = head(states).log_softmax(1).gather(1, targets[:, None])[:, 0]
    found = head_logprobs(head, states, targets)
    torch.testing.assert_close(found, expected)
    wanted = [states, *(parameter for parameter in head.parameters() if parameter.requires_grad)]
    for one, other in zip(
        torch.autograd.grad(found @ upstream, wanted), torch.autograd.grad(expected @ upstream, wanted), strict=True
    ):
        torch.testing.assert_close(one, other)


@pytest.mark.parametrize("is_frozen", [True, False])
def test_no_tensor_over_the_vocabulary_is_kept_for_the_gradient(is_frozen):
    head = torch.nn.Linear(4, 999, bias=False).requires_grad_(not is_frozen)
    states, targets = torch.randn(600, 4, requires_grad=True), torch.zeros(600, dtype=torch.long)
    kept = []

    def keep(tensor):
        if tensor.data_ptr() != head.weight.data_ptr():
            kept.append(tensor.shape)
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        head_logprobs(head, states, targets)
    assert kept
    assert all(999 not in shape for shape in kept)
