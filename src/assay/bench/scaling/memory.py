"""Memory: what a process holds now and the most that it held since a moment, as the Linux kernel counts it."""

import re
from pathlib import Path

STATUS = Path("/proc/self/status")


def held_mib() -> float:
    """Resident memory now."""
    return _told("VmRSS")


def peak_mib() -> float:
    """Most resident memory since `forget_peak`, or since the process began where the kernel lets nobody forget."""
    return _told("VmHWM")


def forget_peak() -> None:
    """Begin anew: loading a model may take more for a moment than all that follows."""
    try:
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    except OSError:
        return


def _told(name: str) -> float:
    found = re.search(rf"^{name}:\s+(\d+) kB", STATUS.read_text(encoding="ascii"), re.MULTILINE)
    return float(found[1]) / 1024 if found else 0.0
