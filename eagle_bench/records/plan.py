"""The jobs that a sweep set out to run, so that one that never began is not forgotten."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from eagle_bench.records.atomic import write_text
from eagle_bench.records.job import Job
from eagle_bench.records.scrub import scrub

PLAN = "plan.json"


def write_plan(sweep: Path, jobs: Mapping[str, Mapping[str, Any]]) -> None:
    """Note the config of every job, without secrets, by the name of its folder under `sweep`."""
    sweep.mkdir(parents=True, exist_ok=True)
    write_text(sweep / PLAN, json.dumps(scrub(jobs), indent=1))


def planned_jobs(sweep: Path) -> tuple[list[Job], list[str]]:
    """The planned jobs of a sweep, as they stand while nothing of them is found on disk.

    Returns
    -------
    jobs : list[Job]
    faults : list[str]
        A sentence when the plan is unreadable.
    """
    path = sweep / PLAN
    try:
        jobs = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        return [], [f"{path} is corrupt or half-written: {error}"]
    return [
        Job(sweep / name, "missing", "it has not started", config) for name, config in jobs.items()
    ], []
