"""Seconds on the host, with the device's work included."""

from __future__ import annotations

import time
from collections.abc import Callable

import torch

PHASES = ("prefill", "draft", "verify", "accept", "commit", "emit")


def synchronizer(device: torch.device) -> Callable[[], None]:
    """Waits until the device has done what it was given; nothing to wait for on a CPU."""
    if device.type == "cuda":
        return lambda: torch.cuda.synchronize(device)
    return lambda: None


class NoPhases:
    """The timed runs' observer: sees nothing and costs nothing."""

    def mark(self, phase: str) -> None:
        pass


class PhaseClock:
    """The instrumented run's observer: seconds between marks, by phase.

    Each mark synchronises the device, so an instrumented run is slower than a timed one.
    """

    def __init__(self, device: torch.device) -> None:
        self._synchronize = synchronizer(device)
        self.seconds: dict[str, float] = {}
        self._last_s = time.perf_counter()

    def restart(self) -> None:
        """Forget what was seen; time runs from here."""
        self.seconds = {}
        self._last_s = time.perf_counter()

    def mark(self, phase: str) -> None:
        """The time since the last mark was spent in `phase`."""
        self._synchronize()
        now_s = time.perf_counter()
        self.seconds[phase] = self.seconds.get(phase, 0.0) + now_s - self._last_s
        self._last_s = now_s
