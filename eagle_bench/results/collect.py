"""Any number of runs and sweeps as one table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from eagle_bench.records.atomic import replacing, write_text
from eagle_bench.records.find import Found, find_jobs
from eagle_bench.records.job import Job
from eagle_bench.records.rowfiles import (
    generations_frame,
    read_generations,
    read_rounds,
    rounds_frame,
    write_parquet,
)
from eagle_bench.results.flatten import flatten, storable
from eagle_bench.results.swept import settings, sort_jobs, swept_keys
from eagle_bench.results.tables.jobs import job_table
from eagle_bench.results.tables.render import render_markdown

SWEEP_CSV = "sweep.csv"
SWEEP_PARQUET = "sweep.parquet"
SWEEP_TABLE = "table.md"


@dataclass(frozen=True)
class Results:
    """Everything under one folder, for a notebook.

    Attributes
    ----------
    jobs : DataFrame
        One row per job, see `collect`.
    generations, rounds : DataFrame
        All rows of all jobs with the fields of the metrics page; `job` is the job's folder
        relative to the one loaded, followed by the swept settings.
    skipped : list[str]
        One sentence per file or line that could not be read.
    """

    jobs: pd.DataFrame
    generations: pd.DataFrame
    rounds: pd.DataFrame
    skipped: list[str]


def collect(folders: Sequence[Path | str]) -> pd.DataFrame:
    """One row per job under `folders`, failed and missing ones included.

    Returns
    -------
    DataFrame
        The swept settings first (dotted paths), then the summary flattened with dots, then
        `status`, `reason`, `config_hash` and `folder`. What was unreadable is in
        `.attrs["skipped"]`, one sentence each.
    """
    return jobs_frame(find_jobs(folders))


def jobs_frame(found: Found) -> pd.DataFrame:
    """The table of `collect` for jobs that are already read."""
    keys = swept_keys(found.jobs)
    rows = [_row(job, keys) for job in sort_jobs(found.jobs, keys)]
    last = ["status", "reason", "config_hash", "folder"]
    names = list(dict.fromkeys(name for row in rows for name in row if name not in last))
    frame = pd.DataFrame(rows, columns=names + last)
    frame.attrs["skipped"] = found.skipped
    return frame


def write_sweep(folder: Path | str) -> Found:
    """Write `sweep.csv`, `sweep.parquet`, `table.md` and the pictures of a sweep's folder."""
    from eagle_bench.results.charts.files import plot_sweep

    folder = Path(folder)
    found = find_jobs([folder])
    frame = storable(jobs_frame(found))
    with replacing(folder / SWEEP_CSV) as temporary:
        frame.to_csv(temporary, index=False)
    write_parquet(frame, folder / SWEEP_PARQUET)
    write_text(folder / SWEEP_TABLE, render_markdown(job_table(found.jobs)))
    plot_sweep(found.jobs, folder)
    return found


def load_results(folder: Path | str) -> Results:
    """Read a run or a sweep into DataFrames."""
    folder = Path(folder)
    found = find_jobs([folder])
    keys = swept_keys(found.jobs)
    skipped = list(found.skipped)
    generations: list[pd.DataFrame] = []
    rounds: list[pd.DataFrame] = []
    for job in sort_jobs(found.jobs, keys):
        rows, row_faults = read_generations(job.folder)
        round_rows, round_faults = read_rounds(job.folder)
        skipped += [*row_faults, *round_faults]
        generations.append(_labelled(generations_frame(rows), job, folder, keys))
        rounds.append(_labelled(rounds_frame(round_rows), job, folder, keys))
    return Results(jobs_frame(found), _stacked(generations), _stacked(rounds), skipped)


def _row(job: Job, keys: Sequence[str]) -> dict[str, object]:
    values = settings(job.config)
    summary = flatten(job.summary)
    rest = {name: value for name, value in summary.items() if name not in keys}
    return {
        **{key: values.get(key) for key in keys},
        **rest,
        "status": job.status,
        "reason": job.reason,
        "config_hash": job.config_hash,
        "folder": str(job.folder),
    }


def _labelled(rows: pd.DataFrame, job: Job, root: Path, keys: Sequence[str]) -> pd.DataFrame:
    values = settings(job.config)
    labels = {"job": str(job.folder.relative_to(root))} | {key: values.get(key) for key in keys}
    for place, (name, value) in enumerate(labels.items()):
        if name not in rows.columns:
            rows.insert(place, name, pd.Series([value] * len(rows), index=rows.index))
    return rows


def _stacked(frames: Sequence[pd.DataFrame]) -> pd.DataFrame:
    filled = [frame for frame in frames if len(frame)] or list(frames[:1])
    return pd.concat(filled, ignore_index=True) if filled else pd.DataFrame()
