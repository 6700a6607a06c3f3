"""Moments, and the seconds between them, with the device's work included."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from typing import Any

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


class HostMoment:
    """Now, on the host's monotonic clock."""

    def __init__(self) -> None:
        self._s = time.perf_counter()

    def since(self, earlier: HostMoment) -> float:
        """Seconds from `earlier` to this moment."""
        return self._s - earlier._s


class DeviceMoment:
    """When the device has done what it was given until now; taking it waits for nothing."""

    def __init__(self, device: torch.device) -> None:
        self._event = torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]
        self._event.record(torch.cuda.current_stream(device))

    def since(self, earlier: DeviceMoment) -> float:
        """Seconds from `earlier` to this moment, once the device has come to it."""
        self._event.synchronize()
        return float(earlier._event.elapsed_time(self._event)) / 1e3


class PhaseClock:
    """The instrumented run's observer: seconds between marks, by phase.

    On a GPU a mark is an event in the device's stream, so a phase is what the device did and
    waited for between two marks; the host waits for it once a round, when a lap is read.
    """

    def __init__(self, device: torch.device) -> None:
        on_gpu = device.type == "cuda"
        self._now: Callable[[], Any] = (lambda: DeviceMoment(device)) if on_gpu else HostMoment
        self.restart()

    def restart(self) -> None:
        """Forget what was seen; time runs from here."""
        self._read: Counter[str] = Counter()
        self._marks: list[tuple[str, Any]] = []
        self._last = self._now()

    def mark(self, phase: str) -> None:
        """The time since the last mark was spent in `phase`."""
        self._marks.append((phase, self._now()))

    def lap(self) -> dict[str, float]:
        """The seconds by phase since the last lap."""
        lap: Counter[str] = Counter()
        for phase, moment in self._marks:
            lap[phase] += moment.since(self._last)
            self._last = moment
        self._marks.clear()
        self._read.update(lap)
        return dict(lap)

    def total(self) -> dict[str, float]:
        """The seconds by phase since the restart."""
        self.lap()
        return dict(self._read)
