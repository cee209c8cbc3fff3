"""Batching: every row once, within the limits."""

from hypothesis import given
from hypothesis import strategies as st

from assay.lm.batching import by_length, by_tokens


@given(st.lists(st.integers(1, 50), max_size=40), st.integers(1, 8), st.integers(50, 200))
def test_every_row_comes_once_and_no_batch_is_over_its_limits(lengths, max_rows, max_tokens):
    batches = list(by_length(lengths, max_rows=max_rows, max_tokens=max_tokens))
    assert sorted(row for batch in batches for row in batch) == list(range(len(lengths)))
    for batch in batches:
        assert len(batch) <= max_rows
        assert len(batch) * max(lengths[row] for row in batch) <= max_tokens


@given(st.lists(st.integers(1, 50), max_size=40), st.integers(1, 200))
def test_batches_by_tokens_keep_the_order_and_their_budget(tokens, max_tokens):
    batches = by_tokens(tokens, max_tokens=max_tokens)
    assert [row for batch in batches for row in batch] == list(range(len(tokens)))
    for batch, after in zip(batches, [*batches, None][1:], strict=True):
        used = sum(tokens[row] for row in batch)
        assert len(batch) == 1 or used <= max_tokens
        assert after is None or used + tokens[after[0]] > max_tokens
