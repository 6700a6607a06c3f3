"""A neighbour that burns the given number of cores for 1 to 4 seconds at a time, a third of it.

    python experiments/noise/neighbour.py SEED CORES

The bursts depend on the seed alone. It ends when it is killed.
"""

from __future__ import annotations

import multiprocessing
import random
import sys
import time
from collections.abc import Iterator

SHORTEST_S, LONGEST_S = 1.0, 4.0
IDLE_S = SHORTEST_S + LONGEST_S
"""On average, twice a mean burst."""


def bursts(seed: int) -> Iterator[tuple[float, float]]:
    """Begin and end of each burst, in seconds after the start."""
    rng = random.Random(seed)
    end_s = 0.0
    while True:
        begin_s = end_s + rng.expovariate(1 / IDLE_S)
        end_s = begin_s + rng.uniform(SHORTEST_S, LONGEST_S)
        yield begin_s, end_s


def burn(seed: int, started_s: float) -> None:
    """One core's work; `started_s` is on the clock that processes share."""
    for begin_s, end_s in bursts(seed):
        time.sleep(max(0.0, started_s + begin_s - time.monotonic()))
        while time.monotonic() < started_s + end_s:
            pass


if __name__ == "__main__":
    seed, cores = map(int, sys.argv[1:])
    for _ in range(cores):
        arguments = (seed, time.monotonic())
        multiprocessing.Process(target=burn, args=arguments, daemon=True).start()
    time.sleep(1e9)
