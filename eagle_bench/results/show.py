"""What a person sees when a run or a sweep ends, and what trackers get."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from eagle_bench.config.tracker import TrackerConfig
from eagle_bench.config.values import Output
from eagle_bench.errors import DOCUMENT
from eagle_bench.records.atomic import write_text
from eagle_bench.records.job import Job
from eagle_bench.results.charts.files import plot_missing, plot_run
from eagle_bench.results.collect import SWEEP_CSV, SWEEP_PARQUET, SWEEP_TABLE, write_sweep
from eagle_bench.results.derived import derived_figures, write_derived
from eagle_bench.results.report.page import build_page
from eagle_bench.results.report.write import REPORT_FILE, write_page
from eagle_bench.results.tables.jobs import category_table, job_table
from eagle_bench.results.tables.render import print_table, run_markdown
from eagle_bench.results.trackers.build import make_tracker
from eagle_bench.results.trackers.tracker import JobRecord, SweepRecord, Tracker

TABLE_FILE = "table.md"
Say = Callable[[str], None]


def show_job(
    job: Job, output: Output, tracker: Tracker, group: str, say: Say, *, alone: bool
) -> None:
    """Table, pictures and tracker of one job, in this order; `alone` unless it is one of a sweep.

    A job that was found finished has its pictures, but for those that were deleted.
    """
    table = job_table([job])
    if output is Output.table:
        print_table(table)
        categories = category_table(job)
        if categories is not None and alone:
            print_table(categories)
    if output is Output.json and alone:
        DOCUMENT.show(document(job))
    write_table(job)
    pictures = plot_missing(job, job.folder) if job.found else plot_run(job, job.folder)
    if output is not Output.quiet:
        say(f"results: {job.folder}")
        if alone:
            say(f"next: eagle-bench report {job.folder}  (one page with charts and samples)")
    tracker.log_job(JobRecord(job, group, table, pictures))


def write_table(job: Job) -> None:
    """Write `table.md` into the folder of a job: its row, then its categories."""
    write_text(job.folder / TABLE_FILE, run_markdown(job))


def show_sweep(folder: Path, output: Output, tracker: TrackerConfig, say: Say) -> None:
    """Collect a sweep's folder: table, `sweep.csv`, pictures, the tracker's report run."""
    found = write_sweep(folder)
    if not found.jobs:
        return
    table = job_table(found.jobs)
    for sentence in found.skipped:
        say(f"skipped: {sentence}")
    if output is Output.table:
        print_table(table)
    if output is Output.json:
        DOCUMENT.show({"jobs": [document(job) for job in found.jobs]})
    derived = derived_figures(found.jobs)
    write_derived(derived, folder)
    loads = [job.provenance.get("loads") or {"done": 0, "saved": 0} for job in found.jobs]
    say(
        f"models: {sum(each['done'] for each in loads)} loads, "
        f"{sum(each['saved'] for each in loads)} saved by sharing them between jobs"
    )
    report = write_page(build_page(found, folder, derived), folder / REPORT_FILE)
    say(f"report: {report}")
    say(f"sweep: {folder}")
    pictures = sorted(folder.glob("*.png"))
    files = [folder / name for name in (SWEEP_CSV, SWEEP_PARQUET, SWEEP_TABLE)]
    record = SweepRecord(folder.name, found.jobs, table, pictures, files)
    make_tracker(tracker, folder, say).log_sweep(record)


def document(job: Job) -> dict[str, Any]:
    """A job as the JSON document that `output=json` prints."""
    return {
        "folder": str(job.folder),
        "status": job.status,
        "reason": job.reason,
        "config": dict(job.config),
        "summary": dict(job.summary),
        "provenance": dict(job.provenance),
    }
