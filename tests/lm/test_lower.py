"""Lower states: the body with its lower layers read from disk is the body, and what the disk refuses is said."""

import errno
import os

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from assay.lm import LoraSettings, add_lora, load, lower
from assay.lm.adapters import lowest_adapted_layer, policy_parameters
from assay.lm.chat import EncodedPair
from assay.lm.lower import LowerStates, can_split
from assay.lm.packing import pack, packed_states
from assay.records.errors import StorageError

PAIRS = [
    EncodedPair([5, 6, 7, 8], [9, 10, 2]),
    EncodedPair([5, 6, 7, 8], [11, 2]),
    EncodedPair([12], [13] * 9),
    EncodedPair([14, 15], []),
    EncodedPair([5, 6], [16, 2]),
]
TOKENS = 25
"""Of the pairs, each prompt once."""
WIDTH_BYTES = 32 * 4


@pytest.fixture(scope="module")
def policy(tiny_model_dir):
    lm = load(str(tiny_model_dir), dtype=torch.float32)
    add_lora(lm, LoraSettings(r=4, top_layers=2), seed=0)
    with torch.no_grad():
        for parameter in policy_parameters(lm).values():
            parameter.add_(0.05)
    return lm


def gradient(lm, states):
    weights = torch.randn(states.shape, generator=torch.Generator().manual_seed(1))
    found = torch.autograd.grad((weights * states).sum(), list(policy_parameters(lm).values()))
    return torch.cat([one.flatten() for one in found])


@settings(max_examples=15, deadline=None)
@given(batch=st.lists(st.sampled_from(PAIRS), min_size=1, max_size=6), room=st.integers(0, TOKENS))
def test_the_body_with_lower_states_is_the_body_however_many_were_kept(policy, tmp_path_factory, batch, room):
    directory = tmp_path_factory.mktemp("lower")
    body = LowerStates(policy, PAIRS, layers=2, directory=directory, limit_bytes=room * WIDTH_BYTES)
    found, expected = body(batch, pack(batch)), packed_states(policy, pack(batch))
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)
    one, other = gradient(policy, found), gradient(policy, expected)
    assert (one - other).norm() / other.norm() < 1e-5
    (file,) = directory.iterdir()
    assert file.stat().st_size <= max(1, room * WIDTH_BYTES)


def calls_of_the_lowest_layer(lm, run):
    calls = []
    handle = lm.body.layers[0].register_forward_hook(lambda *_: calls.append(1))
    run()
    handle.remove()
    return len(calls)


def test_lower_layers_run_once_and_not_again_for_who_finds_the_file(policy, tmp_path):
    made = []
    make = lambda: made.append(LowerStates(policy, PAIRS, layers=2, directory=tmp_path))  # noqa: E731
    assert calls_of_the_lowest_layer(policy, make) == 1
    assert calls_of_the_lowest_layer(policy, make) == 0
    assert calls_of_the_lowest_layer(policy, lambda: made[0](PAIRS, pack(PAIRS))) == 0
    assert torch.equal(made[0](PAIRS, pack(PAIRS)), made[1](PAIRS, pack(PAIRS)))
    (file,) = tmp_path.iterdir()
    assert file.stat().st_size == TOKENS * WIDTH_BYTES


def test_a_model_that_was_never_packed_before_reads_a_file_that_it_finds(policy, tmp_path):
    first = LowerStates(policy, PAIRS, layers=2, directory=tmp_path)
    policy.causal.config._attn_implementation = "sdpa"
    second = LowerStates(policy, PAIRS, layers=2, directory=tmp_path)
    found = second(PAIRS, pack(PAIRS))
    assert torch.equal(found, first(PAIRS, pack(PAIRS)))


def test_a_text_that_was_not_known_before_is_computed(policy, tmp_path):
    body = LowerStates(policy, PAIRS[:2], layers=2, directory=tmp_path)
    torch.testing.assert_close(body(PAIRS, pack(PAIRS)), packed_states(policy, pack(PAIRS)), atol=1e-5, rtol=1e-5)


def test_a_full_disk_is_told_before_a_step_and_leaves_nothing_behind(policy, tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "posix_fallocate", refuse)
    with pytest.raises(StorageError, match=f"expected to keep {TOKENS} states; got .*No space left.*; free disk space"):
        LowerStates(policy, PAIRS, layers=2, directory=tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_file_cut_off_in_the_filling_is_not_taken_for_whole(policy, tmp_path, monkeypatch):
    def killed(*_, **__):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(lower, "layer_states", killed)
        with pytest.raises(KeyboardInterrupt):
            LowerStates(policy, PAIRS, layers=2, directory=tmp_path)
    body = LowerStates(policy, PAIRS, layers=2, directory=tmp_path)
    torch.testing.assert_close(body(PAIRS, pack(PAIRS)), packed_states(policy, pack(PAIRS)), atol=1e-5, rtol=1e-5)


def test_another_model_or_depth_has_a_file_of_its_own(policy, tmp_path, monkeypatch):
    LowerStates(policy, PAIRS, layers=2, directory=tmp_path)
    LowerStates(policy, PAIRS, layers=1, directory=tmp_path)
    monkeypatch.setattr(policy, "id", "another")
    LowerStates(policy, PAIRS, layers=2, directory=tmp_path)
    assert len(list(tmp_path.iterdir())) == 3


def test_the_lowest_adapted_layer_is_that_of_all_adapters(tiny_lm, policy):
    assert lowest_adapted_layer(policy) == 2
    assert lowest_adapted_layer(tiny_lm) == 0
    add_lora(tiny_lm, LoraSettings(), seed=0)
    assert lowest_adapted_layer(tiny_lm) == 0


def test_only_a_known_stack_of_layers_is_entered_half_way(policy, monkeypatch):
    assert can_split(policy)
    monkeypatch.setattr(policy.causal.config, "layer_types", ["full_attention"] * 4, raising=False)
    monkeypatch.setattr(policy.causal.config, "model_type", "gemma3_text")
    assert not can_split(policy)
