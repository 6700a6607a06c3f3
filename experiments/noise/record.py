"""Record how a neighbour on our core takes it from us: when, in seconds of our work, how long.

    python experiments/noise/record.py [WALL_S]

Writes `stalls.json` beside this file, for `simulate.py`.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

RECORD = Path(__file__).parent / "stalls.json"
STALL_S = 0.0003
"""A longer gap between two readings of the clock, which take a microsecond, is a stall."""


def main(wall_s: float = 20.0) -> None:
    """Read the clock for `wall_s` seconds beside one busy neighbour."""
    core = min(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {core})
    neighbour = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        time.sleep(1.0)
        worked_s, stalls = _stalls(wall_s)
    finally:
        neighbour.kill()
        neighbour.wait()
    record = {
        "worked_s": round(worked_s, 5),
        "at_s": [round(at_s, 5) for at_s, _ in stalls],
        "lost_s": [round(lost_s, 5) for _, lost_s in stalls],
    }
    RECORD.write_text(json.dumps(record) + "\n")
    print(f"{len(stalls)} stalls in {worked_s:.1f} s of work took {sum(record['lost_s']):.1f} s")


def _stalls(wall_s: float) -> tuple[float, list[tuple[float, float]]]:
    """Seconds of own work, and each stall's moment on that clock with its seconds."""
    worked_s, stalls = 0.0, []
    now_s = began_s = time.perf_counter()
    while now_s - began_s < wall_s:
        before_s, now_s = now_s, time.perf_counter()
        gap_s = now_s - before_s
        if gap_s > STALL_S:
            stalls.append((worked_s, gap_s))
        else:
            worked_s += gap_s
    return worked_s, stalls


if __name__ == "__main__":
    main(*map(float, sys.argv[1:]))
