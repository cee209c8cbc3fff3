"""Declared: what people write down in a file of YAML or JSON, as a record. Takes a path, yields the record."""

from collections.abc import Mapping
from pathlib import Path
from typing import TypeVar

import yaml
from pydantic import ValidationError

from assay.records.errors import InputError, explain
from assay.records.record import Record

R = TypeVar("R", bound=Record)


def read_declared(path: Path, kind: type[R], *, what: str, **given: object) -> R:
    """A record from a file, with the fields that are given from elsewhere. Raises InputError with every fault."""
    expected = f"{what} in {path}"
    try:
        fields = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        message = explain(expected=expected, got=str(error).splitlines()[0], do="mend the file")
        raise InputError(message) from error
    if not isinstance(fields, Mapping):
        raise InputError(explain(expected=expected, got=type(fields).__name__, do="write fields"))
    try:
        return kind.model_validate({**fields, **given})
    except ValidationError as error:
        faults = [f"{'.'.join(map(str, one['loc'])) or kind.kind}: {one['msg']}" for one in error.errors()]
        raise InputError(explain(expected=expected, got="faults", do="mend them"), faults) from error
