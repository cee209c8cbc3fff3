"""What several tests of feedback begin with: judgements that differ in their prompt alone; commands run in place."""

from typer.testing import CliRunner

from assay.cli.feedback import app
from assay.records.conversation import user_prompt
from assay.records.errors import AssayError
from assay.records.judgement import Judgement


def ties(count, now, *, annotator="ada", campaign="k", sources=("assay",)):
    """So many judgements of one person that call a pair a tie; the sources take turns."""
    return [
        Judgement(
            campaign=campaign,
            annotator=annotator,
            prompt=user_prompt(f"p{n}"),
            first="a",
            second="b",
            choice="tie",
            first_shown="left",
            source=sources[n % len(sources)],
            created_at=now,
        )
        for n in range(count)
    ]


def feedback(*arguments):
    """Run `assay feedback ARGUMENTS` and return what it said; an error of ours comes out as it is."""
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    if isinstance(result.exception, AssayError):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.output
