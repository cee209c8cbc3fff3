"""Rows: reads a data file into numbered rows and gathers every fault in it. Takes a path, yields rows and faults.

Knows jsonl, one JSON list, CSV, all of them gzipped, and parquet; told apart by their bytes and never by their names.

Catches: a missing or empty file, a directory, a truncated gzip, bytes that are not UTF-8, text that is not JSON, NaN,
a field given twice, NUL characters and half surrogate pairs. Does not catch: a gzip that unpacks to more than memory.
"""

import gzip
import json
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

import pyarrow
import pyarrow.parquet

from assay.feedback.tables import Bad, decoded, is_csv, read_csv
from assay.records.errors import InputError, explain

SHOWN_FAULTS = 50


class Rows(NamedTuple):
    """The rows of a file, each with its place (`line 3`), and what was wrong with the others."""

    rows: list[tuple[str, Mapping[str, object]]]
    faults: list[str]


def refuse(path: Path, faults: Sequence[str], *, do: str = "mend these places and import again") -> NoReturn:
    """Raise InputError with every fault, the list cut at fifty."""
    shown = list(faults[:SHOWN_FAULTS])
    if len(faults) > SHOWN_FAULTS:
        shown.append(f"and {len(faults) - SHOWN_FAULTS} more")
    got = f"{len(faults)} fault{'s' if len(faults) != 1 else ''}; nothing was imported"
    raise InputError(explain(expected=f"a data file without faults in {path}", got=got, do=do), shown)


def read_rows(path: Path) -> Rows:
    """All rows of a file, and a fault for each place that is not one. Raises InputError when there is nothing to read.

    The places count lines in jsonl, and rows from 1 in a JSON list, in CSV or in parquet.
    """
    data = _bytes(path)
    if data.startswith(b"PAR1"):
        return _checked(_parquet(path))
    text = data.removeprefix(b"\xef\xbb\xbf")
    if not text.strip():
        raise InputError(explain(expected=f"rows in {path}", got="an empty file", do="export it again"))
    if is_csv(text):
        return _checked(read_csv(text))
    return _checked(_json_list(path, text) if text.lstrip().startswith(b"[") else _lines(text))


def _bytes(path: Path) -> bytes:
    todo = "check the path, or make the file again"
    try:
        data = path.read_bytes()
        return gzip.decompress(data) if data.startswith(b"\x1f\x8b") else data
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        got = f"a truncated or damaged gzip ({error})"
        raise InputError(explain(expected=f"a whole file {path}", got=got, do="copy or download it again")) from error
    except IsADirectoryError as error:
        raise InputError(explain(expected=f"a file at {path}", got="a directory", do="name one file in it")) from error
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise InputError(explain(expected=f"a readable file {path}", got=reason, do=todo)) from error


def _lines(text: bytes) -> Iterator[tuple[str, object]]:
    for number, line in enumerate(text.split(b"\n"), start=1):
        if line.strip():
            yield f"line {number}", _parsed(line)


def _json_list(path: Path, text: bytes) -> Iterator[tuple[str, object]]:
    value = _parsed(text)
    if isinstance(value, Bad):
        refuse(path, [value.reason])
    return ((f"row {number}", row) for number, row in enumerate(value, start=1))


def _parquet(path: Path) -> Iterator[tuple[str, object]]:
    try:
        rows: list[dict[str, object]] = pyarrow.parquet.read_table(path).to_pylist()
    except (pyarrow.ArrowException, OSError, ValueError) as error:
        got = f"parquet that cannot be read ({str(error).splitlines()[0]})"
        do = "copy it again, or export jsonl"
        raise InputError(explain(expected=f"a whole file {path}", got=got, do=do)) from error
    return ((f"row {number}", decoded(row)) for number, row in enumerate(rows, start=1))


def _parsed(text: bytes) -> Any:
    try:
        return json.loads(text.decode(), parse_constant=_no_constant, object_pairs_hook=_no_repeats)
    except UnicodeDecodeError as error:
        return Bad(f"not UTF-8 (byte {error.start + 1} is 0x{text[error.start]:02x})")
    except RecursionError:
        return Bad("not JSON (nested too deep)")
    except json.JSONDecodeError as error:
        return Bad(f"not JSON ({error.msg} at character {error.pos + 1})")
    except ValueError as error:
        return Bad(f"not JSON ({error})")


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON value")


def _no_repeats(pairs: list[tuple[str, object]]) -> dict[str, object]:
    fields = dict(pairs)
    if len(fields) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"field {next(name for name in names if names.count(name) > 1)!r} is given twice")
    return fields


def _checked(values: Iterator[tuple[str, object]]) -> Rows:
    rows: list[tuple[str, Mapping[str, object]]] = []
    faults: list[str] = []
    for place, value in values:
        if isinstance(value, Bad):
            faults.append(f"{place}: {value.reason}")
        elif not isinstance(value, dict):
            faults.append(f"{place}: not an object with fields but {type(value).__name__}")
        elif any(_has(value, _is_nul)):
            faults.append(f"{place}: holds a NUL character")
        elif any(_has(value, _is_surrogate)):
            faults.append(f"{place}: holds half of a surrogate pair, which is no text")
        else:
            rows.append((place, value))
    return Rows(rows, faults)


def _is_nul(text: str) -> bool:
    return "\x00" in text


def _is_surrogate(text: str) -> bool:
    return any("\ud800" <= character <= "\udfff" for character in text)


def _has(value: object, is_bad: Callable[[str], bool]) -> Iterator[bool]:
    if isinstance(value, str):
        yield is_bad(value)
    elif isinstance(value, dict):
        for name, item in value.items():
            yield is_bad(name)
            yield from _has(item, is_bad)
    elif isinstance(value, list):
        for item in value:
            yield from _has(item, is_bad)
