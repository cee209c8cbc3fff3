"""Packing: what a model says of packed completions is what it says of each alone behind its prompt, gradients too."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from assay.lm import load
from assay.lm.chat import EncodedPair
from assay.lm.packing import can_pack, completion_rows, pack, packed_states, packs

ids = st.integers(3, 200)
prompts = st.lists(st.lists(ids, min_size=1, max_size=12), min_size=1, max_size=3)
completions = st.lists(st.lists(ids, max_size=9), min_size=1, max_size=6)


@pytest.fixture(scope="module")
def lm(tiny_model_dir):
    return load(str(tiny_model_dir), dtype=torch.float32)


@st.composite
def some_pairs(draw):
    """Pairs in any order, of which several may share a prompt."""
    known = draw(prompts)
    return [EncodedPair(draw(st.sampled_from(known)), completion) for completion in draw(completions)]


def states_alone(lm, pair):
    return lm.body(input_ids=torch.tensor([pair.prompt + pair.completion]), use_cache=False).last_hidden_state[0]


@settings(max_examples=40, deadline=None)
@given(pairs=some_pairs())
def test_each_state_is_that_of_the_completion_alone_behind_its_prompt(lm, pairs):
    packed = pack(pairs)
    with torch.no_grad():
        found = packed_states(lm, packed)
        for i, pair in enumerate(pairs):
            alone = states_alone(lm, pair)
            scored = alone[len(pair.prompt) - 1 : -1] if pair.completion else alone[:0]
            torch.testing.assert_close(found[packed.states[packed.row == i]], scored, atol=1e-5, rtol=1e-5)
            torch.testing.assert_close(found[packed.last[i]], alone[-1], atol=1e-5, rtol=1e-5)


@settings(max_examples=40, deadline=None)
@given(pairs=some_pairs())
def test_a_row_holds_each_prompt_once_and_nothing_else_but_the_completions(pairs):
    packed = pack(pairs)
    once = {tuple(pair.prompt) for pair in pairs}
    assert len(packed.ids) == sum(map(len, once)) + sum(len(pair.completion) for pair in pairs)
    assert sum(sum(piece.lengths) for piece in packed.pieces) == len(packed.ids)
    assert packed.targets.tolist() == [token for pair in pairs for token in pair.completion]
    assert packed.row.tolist() == completion_rows(pairs).tolist()


def test_the_row_of_two_prompts_by_hand():
    pairs = [EncodedPair([5, 6], [7, 8]), EncodedPair([9], [10]), EncodedPair([5, 6], [11, 12, 13])]
    packed = pack(pairs)
    assert packed.ids.tolist() == [5, 6, 7, 8, 11, 12, 13, 9, 10]
    assert packed.positions.tolist() == [0, 1, 2, 3, 2, 3, 4, 0, 1]
    assert packed.states.tolist() == [1, 2, 7, 1, 4, 5]
    assert packed.last.tolist() == [3, 8, 6]
    assert [piece.lengths for piece in packed.pieces] == [(2, 2, 3), (1, 1)]
    sees = packed.pieces[0].masks[0] == 0
    assert sees.int().tolist() == [[1, 1, 1, 0, 0], [1, 1, 1, 1, 0], [1, 1, 1, 1, 1]]


def test_a_completion_sees_neither_its_neighbours_nor_other_prompts(lm):
    pairs = [EncodedPair([5, 6], [7, 8]), EncodedPair([5, 6], [11, 12]), EncodedPair([9, 3], [10, 4])]
    changed = [pairs[0]._replace(completion=[40, 41]), pairs[1], pairs[2]._replace(prompt=[50, 51])]
    with torch.no_grad():
        before, after = (packed_states(lm, packed)[packed.states[2:4]] for packed in (pack(pairs), pack(changed)))
        neighbour = packed_states(lm, pack(changed))[pack(changed).last[0]]
        itself = packed_states(lm, pack(pairs))[pack(pairs).last[0]]
    assert torch.equal(before, after)
    assert (neighbour - itself).abs().max() > 1e-3


@settings(max_examples=40, deadline=None)
@given(pairs=some_pairs(), max_tokens=st.integers(1, 40))
def test_batches_hold_each_pair_once_and_keep_to_the_budget(pairs, max_tokens):
    batches = list(packs(pairs, max_tokens=max_tokens))
    assert sorted(i for batch in batches for i in batch) == list(range(len(pairs)))
    for batch in batches:
        assert len(batch) == 1 or len(pack([pairs[i] for i in batch]).ids) <= max_tokens


def test_a_packed_pass_leaves_the_model_as_it_was_for_others(lm):
    pair = EncodedPair([5, 6, 7], [8, 9])
    fresh = load(lm.source, dtype=torch.float32)
    with torch.no_grad():
        packed_states(lm, pack([pair, pair]))
        ids, mask = torch.tensor([[5, 6, 7], [8, 9, 2]]), torch.tensor([[1, 1, 1], [1, 1, 0]])
        one, other = (model.body(input_ids=ids, attention_mask=mask).last_hidden_state for model in (lm, fresh))
        assert torch.equal(one, other)
        assert torch.equal(states_alone(lm, pair), states_alone(fresh, pair))


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, True),
        ({"layer_types": ["full_attention", "sliding_attention"]}, False),
        ({"layer_types": ["full_attention"] * 4, "model_type": "other"}, True),
        ({"model_type": "other"}, False),
        ({"sliding_window": 8}, False),
        ({"_attn_implementation": "eager"}, False),
    ],
)
def test_only_a_model_whose_layers_all_see_the_whole_sequence_is_packed(lm, monkeypatch, changes, expected):
    for name, value in changes.items():
        monkeypatch.setattr(lm.causal.config, name, value, raising=False)
    assert can_pack(lm) is expected
