"""Processes: runs a benchmark's script under a Python of its own, offline, and hands on its last words on failure."""

import os
import signal
import subprocess
from collections.abc import Mapping, Sequence

from assay.records.errors import ConfigError, explain

TIMEOUT_S = 3 * 3600.0
OFFLINE = {
    "HF_HUB_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "TRL_DISABLE_TELEMETRY": "1",
    "DO_NOT_TRACK": "1",
    "TOKENIZERS_PARALLELISM": "false",
}


def run_script(command: Sequence[str], *, what: str, do: str, environment: Mapping[str, str] | None = None) -> None:
    """Run to the end. Raises ConfigError about `what`, with what to do, when it cannot be started or fails."""
    try:
        done = subprocess.run(  # noqa: S603 (our own script under the user's own Python)
            list(command),
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, **OFFLINE, **(environment or {})},
            timeout=TIMEOUT_S,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ConfigError(explain(expected=f"a run of {what}", got=str(error), do=do)) from error
    if done.returncode != 0:
        words = " ".join((done.stdout + done.stderr).split()[-40:])
        if done.returncode == -signal.SIGKILL:  # nothing else kills our own script without a word
            words = f"it was killed, as happens when memory runs out: {words}"
        raise ConfigError(explain(expected=f"{what} to finish", got=words, do=do))
