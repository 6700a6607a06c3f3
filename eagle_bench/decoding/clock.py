"""Seconds on the host, with the device's work included."""

from __future__ import annotations

import time
from collections.abc import Callable

import torch

BETWEEN = "between"
"""Not a phase: what happens before a generation's time begins."""


def synchronizer(device: torch.device) -> Callable[[], None]:
    """Waits until the device has done what it was given; nothing to wait for on a CPU."""
    if device.type == "cuda":
        return lambda: torch.cuda.synchronize(device)
    return lambda: None


class NoPhases:
    """The timed runs' observer: sees nothing and costs nothing."""

    def mark(self, phase: str) -> None:
        pass

    def lap(self) -> dict[str, float]:
        return {}


class PhaseClock:
    """The instrumented run's observer: seconds between marks, by phase.

    Each mark synchronises the device, so an instrumented run is slower than a timed one.
    """

    def __init__(self, device: torch.device) -> None:
        self._synchronize = synchronizer(device)
        self.restart()

    def restart(self) -> None:
        """Forget what was seen; time runs from here."""
        self.seconds: dict[str, float] = {}
        self._lap: dict[str, float] = {}
        self._last_s = time.perf_counter()

    def lap(self) -> dict[str, float]:
        """The seconds by phase since the last lap."""
        lap, self._lap = self._lap, {}
        return lap

    def mark(self, phase: str) -> None:
        """The time since the last mark was spent in `phase`."""
        self._synchronize()
        now_s = time.perf_counter()
        for seconds in (self.seconds, self._lap):
            seconds[phase] = seconds.get(phase, 0.0) + now_s - self._last_s
        self._last_s = now_s
