"""Waiting until others leave room on the cores."""

from __future__ import annotations

import os
import time

from eagle_bench.machine.kernel import Kernel

SPARE_CORES = 0.5
"""How far threads and others' work may exceed the cores that there are."""
LOOK_S = 0.2
PATIENCE_S = 10.0


class Quiet:
    """Says when a measurement of `threads` threads would have the cores to itself."""

    def __init__(self, threads: int, kernel: Kernel | None = None) -> None:
        self._threads = threads
        self._kernel = kernel or Kernel()
        self._in_vain_s = 0.0

    def wait(self, most_s: float) -> bool:
        """Sleep until others leave room; whether they do.

        All waits in vain since the machine was last quiet take `PATIENCE_S` seconds at most, and
        at most `most_s` (what was measured so far: a short job is not worth a long wait).
        """
        began_s = time.perf_counter()
        left_s = min(PATIENCE_S, most_s) - self._in_vain_s
        quiet = self._look()
        while not quiet and time.perf_counter() - began_s < left_s:
            quiet = self._look()
        self._in_vain_s = 0.0 if quiet else self._in_vain_s + time.perf_counter() - began_s
        return quiet

    def _look(self) -> bool:
        """Whether there was room for `LOOK_S`; a machine that does not tell counts as quiet."""
        before = self._kernel.read()
        time.sleep(LOOK_S)
        others = self._kernel.read().others_cores(before)
        return others is None or leave_room(others, self._threads, len(os.sched_getaffinity(0)))


def leave_room(others: float, threads: int, cores: int) -> bool:
    """Whether others' work, in cores, fits beside our threads, be these too many themselves."""
    return others <= max(cores - threads, 0) + SPARE_CORES
