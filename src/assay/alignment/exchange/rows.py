"""Rows: the records that a run learns from, in the columns that TRL, verl and OpenRLHF read.

Prompts and completions go out as messages, never rendered, so that each trainer applies the model's own chat template
once. What the aggregation knows of a preference goes beside it (`probability`, `margin`, `weight`); `margin` is read by
TRL's and OpenRLHF's reward trainers, the rest by nobody, and none of them does harm.
"""

import io
import json
from collections.abc import Sequence
from typing import Any, Literal

import pyarrow
import pyarrow.parquet

from assay.records.conversation import Prompt
from assay.records.judgement import Demonstration
from assay.records.preference import Preference

Peer = Literal["trl", "verl", "openrlhf"]
Source = Demonstration | Preference | Prompt
Row = dict[str, Any]

DATA_SOURCE = "assay"
"""verl's `data_source`, by which it chooses a reward function where none is named."""


def rows_for(peer: Peer, records: Sequence[Source]) -> list[Row]:
    """One row a record, in the order given; the kind of record says which columns."""
    return [_row(peer, record, number) for number, record in enumerate(records)]


def as_jsonl(rows: Sequence[Row]) -> bytes:
    """Rows as lines of JSON."""
    return "".join(json.dumps(row, ensure_ascii=False, allow_nan=False) + "\n" for row in rows).encode()


def as_parquet(rows: Sequence[Row]) -> bytes:
    """Rows as a parquet file; messages are lists of structs."""
    file = io.BytesIO()
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(list(rows)), file)
    return file.getvalue()


def _row(peer: Peer, record: Source, number: int) -> Row:
    if isinstance(record, Preference):
        return _preference(record)
    if isinstance(record, Demonstration):
        prompt, answer = _messages(record.prompt), _answer(record.completion)
        return {"messages": prompt + answer} if peer == "verl" else {"prompt": prompt, "completion": answer}
    prompt = _messages(record)
    if peer == "verl":
        return {
            "data_source": DATA_SOURCE,
            "prompt": prompt,
            "ability": "preference",
            "reward_model": {"style": "model", "ground_truth": ""},
            "extra_info": {"index": number, "split": "train", "prompt": prompt},
        }
    return {"prompt": prompt}


def _preference(record: Preference) -> Row:
    known = {"probability": record.probability, "margin": record.margin, "weight": record.weight}
    answers = {"chosen": _answer(record.chosen), "rejected": _answer(record.rejected)}
    return {"prompt": _messages(record.prompt), **answers, **known}


def _messages(prompt: Prompt) -> list[dict[str, str]]:
    return [message.model_dump() for message in prompt]


def _answer(text: str) -> list[dict[str, str]]:
    return [{"role": "assistant", "content": text}]
