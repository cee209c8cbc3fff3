"""Batching: cuts rows into batches: of like length, so that little is spent on padding, or by a budget of tokens."""

from collections.abc import Iterator, Sequence


def by_length(lengths: Sequence[int], *, max_rows: int, max_tokens: int = 1 << 30) -> Iterator[list[int]]:
    """Yield lists of row numbers, longest rows first, at most `max_rows` rows and `max_tokens` padded tokens each."""
    order = sorted(range(len(lengths)), key=lambda row: (-lengths[row], row))
    batch: list[int] = []
    for row in order:
        longest = lengths[batch[0]] if batch else lengths[row]
        if batch and (len(batch) == max_rows or (len(batch) + 1) * longest > max_tokens):
            yield batch
            batch = []
        batch.append(row)
    if batch:
        yield batch


def by_tokens(tokens: Sequence[int], *, max_tokens: int) -> list[list[int]]:
    """Lists of row numbers in the order given, at most `max_tokens` each; a row longer than that comes alone.

    For packed rows, of which no order wastes anything: the order is the caller's.
    """
    batches: list[list[int]] = []
    room = 0
    for row, length in enumerate(tokens):
        if not batches or length > room:
            batches.append([])
            room = max_tokens
        batches[-1].append(row)
        room -= length
    return batches
