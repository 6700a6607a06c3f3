"""What the kernel has counted so far: work on our cores, ours, and what kept us waiting."""

from __future__ import annotations

import os
import resource
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc")
CGROUPS = Path("/sys/fs/cgroup")
WORK = (0, 1, 2, 5, 6)
"""Columns of `/proc/stat` in which a core works: user, nice, system and both interrupts (guests
are in user and nice)."""
STOLEN = 7


@dataclass(frozen=True)
class Counters:
    """Seconds since some moment in the past; None where the kernel does not tell.

    Attributes
    ----------
    now_s : float
        The host's clock.
    cpu_s, waited_s : float
        Seconds that this process's threads ran, and that they were ready and waited for a core.
    involuntary_switches : int
        How often one of them was taken off its core.
    busy_s, steal_s : float
        Everybody's work, and what the hypervisor took, summed over the allowed cores.
    throttled_s : float
        How long the container's quota held it.
    pressure_s : float
        How long some task, of the container or else of the machine, waited for a core.
    """

    now_s: float
    cpu_s: float
    involuntary_switches: int
    waited_s: float | None
    busy_s: float | None
    steal_s: float | None
    throttled_s: float | None
    pressure_s: float | None

    def others_cores(self, earlier: Counters) -> float | None:
        """Cores' worth of others' work since `earlier`."""
        if self.busy_s is None or earlier.busy_s is None:
            return None
        others_s = self.busy_s - earlier.busy_s - (self.cpu_s - earlier.cpu_s)
        return max(0.0, others_s) / (self.now_s - earlier.now_s)


class Kernel:
    """Reads the counters; that takes about 0.1 ms, so never within a timed region."""

    def __init__(self, proc: Path = PROC, cgroups: Path = CGROUPS) -> None:
        self._proc = proc
        self._tick_s = 1 / os.sysconf("SC_CLK_TCK")
        groups = [*_own_groups(proc, cgroups)]
        self._limits = _first(group / "cpu.stat" for group in groups)
        self._pressure = _first(
            [*(group / "cpu.pressure" for group in groups), proc / "pressure" / "cpu"]
        )

    def read(self) -> Counters:
        """The counters now."""
        ticks = self._ticks()
        return Counters(
            now_s=time.perf_counter(),
            cpu_s=time.process_time(),
            involuntary_switches=resource.getrusage(resource.RUSAGE_SELF).ru_nivcsw,
            waited_s=self._waited_s(),
            busy_s=sum(worked for worked, _ in ticks) * self._tick_s if ticks else None,
            steal_s=sum(stolen for _, stolen in ticks) * self._tick_s if ticks else None,
            throttled_s=self._throttled_s(),
            pressure_s=self._pressure_s(),
        )

    def _ticks(self) -> list[tuple[int, int]]:
        """Ticks worked and stolen of each allowed core; empty without `/proc/stat`."""
        lines = [line.split() for line in _lines(self._proc / "stat") if line.startswith("cpu")]
        cores = {f"cpu{core}" for core in os.sched_getaffinity(0)} if lines else {}
        return [
            (sum(int(counts[column]) for column in WORK), int(counts[STOLEN]))
            for core, *counts in lines
            if core in cores
        ]

    def _waited_s(self) -> float | None:
        """The second number of each thread's `schedstat` is nanoseconds on a run queue."""
        threads = [_lines(path) for path in self._proc.glob("self/task/*/schedstat")]
        waits = [int(lines[0].split()[1]) for lines in threads if lines]
        return sum(waits) / 1e9 if waits else None

    def _throttled_s(self) -> float | None:
        """`throttled_usec` of cgroup v2, `throttled_time` (ns) of v1."""
        counts = dict(line.split() for line in _lines(self._limits))
        if "throttled_usec" in counts:
            return int(counts["throttled_usec"]) / 1e6
        return int(counts["throttled_time"]) / 1e9 if "throttled_time" in counts else None

    def _pressure_s(self) -> float | None:
        for line in _lines(self._pressure):
            if line.startswith("some"):
                return int(line.rpartition("total=")[2]) / 1e6
        return None


def _own_groups(proc: Path, cgroups: Path) -> Iterator[Path]:
    """Folders of this process's control groups: its own, and what its container sees as `/`."""
    for line in _lines(proc / "self" / "cgroup"):
        _, controllers, path = line.split(":", 2)
        if not controllers or "cpu" in controllers.split(","):
            for root in (cgroups / (controllers or "unified"), cgroups):
                yield root / path.lstrip("/")
                yield root


def _first(paths: Iterable[Path]) -> Path | None:
    return next((path for path in paths if path.is_file()), None)


def _lines(path: Path | None) -> list[str]:
    """None of a file that is not there, or of a thread that has ended."""
    try:
        return path.read_text().splitlines() if path else []
    except OSError:
        return []
