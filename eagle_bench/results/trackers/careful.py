"""Around every tracker: nothing it does costs a result, and no job is logged twice."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from eagle_bench.records.atomic import write_text
from eagle_bench.records.scrub import scrub
from eagle_bench.results.trackers.tracker import JobRecord, Say, SweepRecord, Tracker

TRACKED = "tracked.json"
"""In a job's folder: the places that have this result."""


class CarefulTracker:
    """A tracker whose failures are one line each."""

    def __init__(self, tracker: Tracker, say: Say) -> None:
        self._tracker = tracker
        self._say = say

    @property
    def place(self) -> str:
        return self._tracker.place

    def log_job(self, record: JobRecord) -> None:
        """Log a job, unless it was found finished and this place has it already."""
        known = _places(record.job.folder)
        if record.job.found and self.place in known:
            return
        with self._only_warning():
            self._tracker.log_job(record)
            places = sorted({self.place, *(known if record.job.found else ())})
            write_text(record.job.folder / TRACKED, json.dumps(places, indent=1) + "\n")

    def log_sweep(self, record: SweepRecord) -> None:
        with self._only_warning():
            self._tracker.log_sweep(record)

    @contextmanager
    def _only_warning(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:  # Whatever a service's client may raise.
            reason = (str(error).strip() or type(error).__name__).partition("\n")[0]
            self._say(
                f"tracker: {scrub(reason)}; the results are on disk; the same command tries again."
            )


def _places(folder: Path) -> list[str]:
    try:
        places = json.loads((folder / TRACKED).read_bytes())
    except (OSError, ValueError):
        return []
    return places if isinstance(places, list) else []
