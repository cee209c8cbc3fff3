"""App: the `assay` command, its groups in the order of the walk, and errors as one clear sentence."""

import sys

import typer

from assay.cli.context import console
from assay.records.errors import AssayError

app = typer.Typer(name="assay", no_args_is_help=True, help=__doc__, pretty_exceptions_enable=False)


def main() -> None:
    """Run the command line; an error that the user can mend is printed without a traceback and exits with 1."""
    try:
        app()
    except AssayError as error:
        console.print(f"[red]error:[/red] {error}", markup=True)
        sys.exit(1)
