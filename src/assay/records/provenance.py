"""Provenance: the seed, data hash, code version and config hash that every artifact names."""

import hashlib
from functools import cache
from pathlib import Path

import assay
from assay.records.record import Value


class Provenance(Value):
    """What it takes to make an artifact again."""

    seed: int
    data_hash: str
    code_version: str
    config_hash: str


@cache
def code_version() -> str:
    """The package version and a hash of its source files, as in `0.1.0+src.3f1c…`; changes with any edit."""
    root = Path(assay.__file__).parent
    sha = hashlib.sha256()
    for path in sorted(root.rglob("*.py")):
        sha.update(path.relative_to(root).as_posix().encode())
        sha.update(path.read_bytes())
    return f"{assay.__version__}+src.{sha.hexdigest()[:12]}"
