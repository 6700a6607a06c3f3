"""What others take of a run's seconds: neighbours on whose clock the noise is simulated."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

RECORD = Path(__file__).parent / "stalls.json"
ARMS = ("baseline", "chain")


class Neighbour:
    """What others take of our seconds. `seen` is in their cores' worth of work."""

    def __init__(self, rng: np.random.Generator) -> None:
        record = json.loads(RECORD.read_text())
        self.rng = rng
        self.at_s, self.each_s = np.array(record["at_s"]), np.array(record["lost_s"])
        self.before_s = np.concatenate([[0.0], np.cumsum(self.each_s)])
        self.length_s: float = record["worked_s"]
        self.place_s = rng.uniform(0, self.length_s)

    def recorded_s(self, work_s: float) -> float:
        """Seconds that the recorded stalls take of the next `work_s` of our work."""
        begin_s, self.place_s = self.place_s, (self.place_s + work_s) % self.length_s
        first, last = np.searchsorted(self.at_s, [begin_s, self.place_s])
        round_trip_s = self.before_s[-1] if self.place_s < begin_s else 0.0
        return float(self.before_s[last] - self.before_s[first] + round_trip_s)

    def takes_s(self, now_s: float, work_s: float, arm: str) -> float:
        """Seconds lost during `work_s` of `arm` that begin at `now_s`."""
        return 0.0

    def free_at_s(self, now_s: float) -> float:
        """When others will leave room on the cores."""
        return now_s


class Bursts(Neighbour):
    """Both cores burnt for 1 to 4 seconds at a time, a third of the time."""

    ARMS: tuple[str, ...] = ARMS

    def __init__(self, rng: np.random.Generator) -> None:
        super().__init__(rng)
        lengths_s = rng.uniform(1.0, 4.0, 1000)
        starts_s = np.cumsum(lengths_s + rng.exponential(5.0, 1000)) - lengths_s
        starts_s -= rng.uniform(0.0, 1000.0)
        self.starts_s, self.ends_s = starts_s, starts_s + lengths_s

    def takes_s(self, now_s: float, work_s: float, arm: str) -> float:
        burning = self.free_at_s(now_s) > now_s
        return self.recorded_s(work_s) if burning and arm in self.ARMS else 0.0

    def free_at_s(self, now_s: float) -> float:
        burst = int(np.searchsorted(self.starts_s, now_s, side="right")) - 1
        return max(now_s, float(self.ends_s[burst])) if burst >= 0 else now_s


class BurstsOnBaseline(Bursts):
    """As `Bursts`, but they spare the method."""

    ARMS = ("baseline",)


class Always(Neighbour):
    """One core burnt from the beginning to the end."""

    ARMS: tuple[str, ...] = ARMS

    def takes_s(self, now_s: float, work_s: float, arm: str) -> float:
        return self.recorded_s(work_s) if arm in self.ARMS else 0.0

    def free_at_s(self, now_s: float) -> float:
        return float("inf")


class AlwaysOnBaseline(Always):
    """As `Always`, but it spares the method."""

    ARMS = ("baseline",)


class HalfSpeed(Neighbour):
    """Half the speed for a minute, with nobody to be seen."""

    def __init__(self, rng: np.random.Generator) -> None:
        super().__init__(rng)
        self.start_s = rng.uniform(-30.0, 60.0)

    def takes_s(self, now_s: float, work_s: float, arm: str) -> float:
        return work_s if self.start_s <= now_s < self.start_s + 60.0 else 0.0


class Drift(Neighbour):
    """Ever slower, by a hundredth each second, up to twice the time."""

    def takes_s(self, now_s: float, work_s: float, arm: str) -> float:
        return work_s * min(now_s / 100, 1.0)
