"""Rows: every way in which a file can be bad is told with its place, and every good kind of file is read."""

import gzip
import json

import pyarrow
import pyarrow.parquet
import pytest

from assay.feedback.rows import read_rows, refuse
from assay.records.errors import InputError

ROW = {"prompt": "Why?", "chosen": "Because.", "rejected": "No."}


def _write(tmp_path, data: bytes, name="file.jsonl"):
    path = tmp_path / name
    path.write_bytes(data)
    return path


@pytest.mark.parametrize(
    "data",
    [
        json.dumps(ROW).encode(),
        json.dumps(ROW).encode() + b"\r\n\r\n",
        b"\xef\xbb\xbf" + json.dumps(ROW).encode(),
        json.dumps([ROW], indent=2).encode(),
        gzip.compress(json.dumps(ROW).encode(), mtime=0),
        gzip.compress(json.dumps([ROW]).encode(), mtime=0),
    ],
    ids=["jsonl", "crlf", "byte order mark", "list", "jsonl gz", "list gz"],
)
def test_a_row_is_read_from_every_kind_of_text_file(tmp_path, data):
    rows, faults = read_rows(_write(tmp_path, data, "a name that tells nothing"))
    assert [dict(fields) for _, fields in rows] == [ROW]
    assert faults == []


def test_parquet_is_read_with_nested_messages(tmp_path):
    messages = [{"role": "user", "content": "Hi"}]
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist([ROW | {"prompt": messages}]), tmp_path / "p.parquet")
    rows, _ = read_rows(tmp_path / "p.parquet")
    assert rows == [("row 1", ROW | {"prompt": messages})]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b'{"a": 1', "not JSON"),
        (b'{"a": NaN}', "NaN is no JSON value"),
        (b'{"a": 1, "a": 2}', "field 'a' is given twice"),
        (b'{"a": "\xff"}', "not UTF-8 (byte 8 is 0xff)"),
        (b'{"a": "\\u0000"}', "holds a NUL character"),
        (b'{"a": [{"b": "x\\u0000"}]}', "holds a NUL character"),
        (b'{"a": "\\ud800"}', "half of a surrogate pair"),
        (b'{"a": "\x00"}', "not JSON"),
        (b"[" * 100_000, "nested too deep"),
        (b"3", "not an object with fields but int"),
        (b'{"a": ' + b"9" * 5000 + b"}", "not JSON"),
    ],
)
def test_a_bad_line_is_told_with_its_number_and_the_lines_beside_it_are_read(tmp_path, line, reason):
    rows, faults = read_rows(_write(tmp_path, b'{"n": 1}\n' + line + b'\n{"n": 3}\n'))
    assert [place for place, _ in rows] == ["line 1", "line 3"]
    assert len(faults) == 1
    assert faults[0].startswith("line 2: ")
    assert reason in faults[0]


def test_a_line_separator_inside_a_text_does_not_break_the_line(tmp_path):
    rows, faults = read_rows(_write(tmp_path, json.dumps({"a": "x\u2028y"}, ensure_ascii=False).encode()))
    assert rows == [("line 1", {"a": "x\u2028y"})]
    assert faults == []


@pytest.mark.parametrize("data", [b"", b"\n \n", gzip.compress(b"", mtime=0)])
def test_an_empty_file_is_refused(tmp_path, data):
    with pytest.raises(InputError, match="got an empty file"):
        read_rows(_write(tmp_path, data))


def test_a_missing_file_and_a_directory_are_refused_by_name(tmp_path):
    with pytest.raises(InputError, match="No such file"):
        read_rows(tmp_path / "absent.jsonl")
    with pytest.raises(InputError, match="got a directory"):
        read_rows(tmp_path)


@pytest.mark.parametrize("keep", [12, 20, -1])
def test_a_gzip_cut_anywhere_is_refused(tmp_path, keep):
    whole = gzip.compress(json.dumps(ROW).encode() * 100, mtime=0)
    with pytest.raises(InputError, match="truncated or damaged gzip"):
        read_rows(_write(tmp_path, whole[:keep]))


def test_a_gzip_with_changed_bytes_is_refused(tmp_path):
    whole = bytearray(gzip.compress(json.dumps(ROW).encode(), mtime=0))
    whole[-6] ^= 0xFF
    with pytest.raises(InputError, match="truncated or damaged gzip"):
        read_rows(_write(tmp_path, bytes(whole)))


def test_a_cut_parquet_file_and_a_cut_list_are_refused(tmp_path):
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist([ROW]), tmp_path / "p.parquet")
    whole = (tmp_path / "p.parquet").read_bytes()
    with pytest.raises(InputError, match="parquet that cannot be read"):
        read_rows(_write(tmp_path, whole[: len(whole) // 2], "cut.parquet"))
    with pytest.raises(InputError, match="not JSON"):
        read_rows(_write(tmp_path, json.dumps([ROW]).encode()[:-4]))


def test_more_than_fifty_faults_are_counted_and_not_all_printed(tmp_path):
    with pytest.raises(InputError) as caught:
        refuse(tmp_path / "f", [f"line {n}: bad" for n in range(1, 63)])
    assert len(caught.value.faults) == 51
    assert caught.value.faults[-1] == "and 12 more"
    assert "62 faults; nothing was imported" in str(caught.value)
