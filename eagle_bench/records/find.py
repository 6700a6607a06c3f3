"""Finds the jobs of any number of runs and sweeps on disk."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from eagle_bench.errors import UserError
from eagle_bench.records.job import RESULT_FILE, Job, UnreadableResult, read_job
from eagle_bench.records.jsonl import read_records
from eagle_bench.records.plan import PLAN, planned_jobs
from eagle_bench.records.rowfiles import GENERATIONS

HYDRA = ".hydra"


@dataclass(frozen=True)
class Found:
    """The jobs under some folders, and one sentence per file that had to be skipped."""

    jobs: list[Job]
    skipped: list[str]

    @property
    def gaps(self) -> list[str]:
        """One sentence per job that has no figures: skipped, failed or missing."""
        unfinished = [job for job in self.jobs if not job.complete]
        return [*self.skipped, *(f"{job.folder} {job.status}: {job.reason}" for job in unfinished)]


def find_jobs(folders: Sequence[Path | str]) -> Found:
    """Read every job at or under `folders`, each once, in the order of their paths.

    A job's folder holds a `result.json`, or what an interrupted job leaves: its rows, or
    Hydra's record of a benchmark's config; a sweep's plan names the jobs that have not begun. A
    `result.json` that is corrupt or of another schema is skipped.

    Raises
    ------
    UserError
        A folder is not there, or nothing in them is of eagle_bench.
    """
    jobs: list[Job] = []
    skipped: list[str] = []
    found = list(_job_folders([Path(folder) for folder in folders]))
    begun = {folder.resolve() for folder in found}
    for folder in found:
        if (folder / RESULT_FILE).exists():
            try:
                jobs.append(read_job(folder))
            except UnreadableResult as error:
                skipped.append(str(error))
        elif (folder / PLAN).exists():
            planned, faults = planned_jobs(folder)
            jobs += [job for job in planned if job.folder.resolve() not in begun]
            skipped += faults
        else:
            jobs.append(_missing(folder))
    if not jobs and not skipped:
        named = ", ".join(map(str, folders))
        raise UserError(f"There are no results of eagle_bench under {named}.")
    return Found(jobs, skipped)


def state_of(folder: Path) -> str:
    """What a job that is started now finds of itself in `folder`, in words."""
    try:
        return read_job(folder).status
    except UnreadableResult:
        rows = len(read_records(folder / GENERATIONS).records)
        return f"{rows} generations are there" if rows else "new"


def _job_folders(roots: Sequence[Path]) -> Iterator[Path]:
    seen: set[Path] = set()
    for root in roots:
        if not root.is_dir():
            raise UserError(f"There is no folder {root} to read results from.")
        for folder in _walk(root):
            if folder.resolve() not in seen:
                seen.add(folder.resolve())
                yield folder


def _walk(root: Path) -> list[Path]:
    measured: list[Path] = []
    launched: list[Path] = []
    for name, children, files in os.walk(root):
        if {RESULT_FILE, GENERATIONS, PLAN} & {*files}:
            measured.append(Path(name))
        elif HYDRA in children and "decoding" in _hydra_config(Path(name)):
            launched.append(Path(name))
        children[:] = sorted(child for child in children if child[0] != "." and child != "wandb")
    parents = {parent for folder in measured for parent in folder.parents}
    return sorted([*measured, *(folder for folder in launched if folder not in parents)])


def _missing(folder: Path) -> Job:
    rows = len(read_records(folder / GENERATIONS).records)
    reason = f"interrupted after {rows} generations" if rows else "ended before it measured"
    return Job(folder, "missing", f"{reason}: no {RESULT_FILE}", _hydra_config(folder))


def _hydra_config(folder: Path) -> dict[str, Any]:
    try:
        config = yaml.safe_load((folder / HYDRA / "config.yaml").read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError):
        return {}
    return config if isinstance(config, dict) else {}
