"""The PNG files of a run and of a sweep."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from eagle_bench.records.job import Job
from eagle_bench.results.charts.chart import Chart
from eagle_bench.results.charts.job import job_charts
from eagle_bench.results.charts.png import draw
from eagle_bench.results.charts.sweep import sweep_charts
from eagle_bench.results.swept import GEN_LEN, sort_jobs, swept_keys


def plot_run(job: Job, folder: Path) -> list[Path]:
    """Write a run's pictures: speedup, calls, tau, acceptance, histogram, categories.

    Returns
    -------
    list[Path]
        The PNGs that the summary has figures for.
    """
    return [draw(chart, folder) for chart in _run_charts(job)]


def plot_missing(job: Job, folder: Path) -> list[Path]:
    """A run's pictures, of which only those are drawn that are not there."""
    return [
        path if (path := folder / chart.file).exists() else draw(chart, folder)
        for chart in _run_charts(job)
    ]


def plot_sweep(jobs: Sequence[Job], folder: Path) -> list[Path]:
    """Write `speedup_by_KEY.png` for each swept setting, calls, tau, acceptance, categories.

    `KEY` is `gen_len` when the jobs differ in nothing. Jobs without figures are left out.
    """
    jobs = [job for job in jobs if job.complete and job.method is not None]
    keys = swept_keys(jobs) or [GEN_LEN]
    charts = sweep_charts(sort_jobs(jobs, keys), keys) if jobs else []
    return [draw(chart, folder) for chart in charts if chart.file]


def _run_charts(job: Job) -> list[Chart]:
    if job.method is None:
        return []
    charts = (*sweep_charts([job], [GEN_LEN]), *job_charts(job))
    return list({chart.file: chart for chart in charts if chart.file}.values())
