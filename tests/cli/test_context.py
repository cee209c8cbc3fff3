"""Context: what every command needs."""

import os
import subprocess
import sys

TABLE = """
from rich.table import Table
from assay.cli.context import console
table = Table(*(f"column {i}" for i in range(10)))
table.add_row(*(f"+0.12345{i}" for i in range(10)))
console.print(table)
"""


def printed(columns: str | None) -> str:
    """A table of ten numbers as a pipe gets it."""
    environment = {name: value for name, value in os.environ.items() if name != "COLUMNS"}
    if columns is not None:
        environment["COLUMNS"] = columns
    return subprocess.run([sys.executable, "-c", TABLE], env=environment, capture_output=True, text=True).stdout


def test_a_table_that_goes_to_a_pipe_keeps_all_its_digits() -> None:
    assert all(f"+0.12345{i}" in printed(None) for i in range(10))


def test_columns_say_how_wide_a_table_may_be() -> None:
    assert max(map(len, printed("60").splitlines())) == 60
