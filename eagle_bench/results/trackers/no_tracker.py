"""`tracker=none`: results stay on the disk."""

from __future__ import annotations

from eagle_bench.results.trackers.tracker import JobRecord, SweepRecord


class NoTracker:
    """Logs nothing."""

    place = "nowhere"

    def log_job(self, record: JobRecord) -> None:
        """Do nothing."""

    def log_sweep(self, record: SweepRecord) -> None:
        """Do nothing."""
