"""Clock: the seconds of each step and the memory of a process; imports no one's code, for TRL's Python runs it too."""

import resource
import time


class StepClock:
    """Marks the end of each step; the first stretch begins with the clock."""

    def __init__(self) -> None:
        self.step_s: list[float] = []
        self.step_cpu_s: list[float] = []
        self._wall, self._cpu = time.perf_counter(), time.process_time()

    def mark(self) -> None:
        """End a step's stretch, and begin the next."""
        wall, cpu = time.perf_counter(), time.process_time()
        self.step_s.append(wall - self._wall)
        self.step_cpu_s.append(cpu - self._cpu)
        self._wall, self._cpu = wall, cpu


def peak_mib() -> float:
    """Most memory that this process has held so far (ru_maxrss, which Linux gives in KiB)."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
