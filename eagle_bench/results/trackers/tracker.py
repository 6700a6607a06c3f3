"""What every tracker does."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from eagle_bench.records.job import Job
from eagle_bench.results.tables.table import Table

Say = Callable[[str], None]
"""Shows the user one line."""


@dataclass(frozen=True)
class JobRecord:
    """A finished or failed job, ready to be logged.

    Attributes
    ----------
    job : Job
        Its config is logged without secrets.
    group : str
        The sweep it belongs to, or its own name.
    table : Table
        Its row of the results table.
    pictures : Sequence[Path]
        PNG files.
    """

    job: Job
    group: str
    table: Table
    pictures: Sequence[Path] = ()

    @property
    def alone(self) -> bool:
        """Whether it is no job of a sweep."""
        return self.group == self.job.folder.name


@dataclass(frozen=True)
class SweepRecord:
    """A whole multirun: its table, pictures and files as one report."""

    group: str
    jobs: Sequence[Job]
    table: Table
    pictures: Sequence[Path] = ()
    files: Sequence[Path] = ()


class Tracker(Protocol):
    """Logs results after they were measured and stored: it never runs in a timed region.

    Attributes
    ----------
    place : str
        Where records go, without secrets; a finished job that went there is not logged again.
    """

    @property
    def place(self) -> str: ...

    def log_job(self, record: JobRecord) -> None:
        """Log one job as one run of the service."""

    def log_sweep(self, record: SweepRecord) -> None:
        """Log the report of a multirun as one more run."""
