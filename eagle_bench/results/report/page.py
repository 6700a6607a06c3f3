"""Everything that the page shows, gathered from the jobs' folders."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd

from eagle_bench.records.find import Found
from eagle_bench.records.job import Job
from eagle_bench.records.prompts import read_prompts
from eagle_bench.records.rowfiles import read_generations
from eagle_bench.results.charts.chart import Chart
from eagle_bench.results.charts.cost import cost_charts
from eagle_bench.results.charts.job import job_charts
from eagle_bench.results.charts.naming import distinct_names
from eagle_bench.results.charts.sweep import derived_chart, sweep_charts
from eagle_bench.results.circumstances import circumstances
from eagle_bench.results.flatten import flatten
from eagle_bench.results.report.definitions import DEFINITIONS
from eagle_bench.results.report.pieces import decoder
from eagle_bench.results.report.samples import Samples, choose
from eagle_bench.results.report.words import job_words, sweep_words
from eagle_bench.results.swept import GEN_LEN, sort_jobs, swept_keys
from eagle_bench.results.tables.jobs import category_table, job_table
from eagle_bench.results.tables.table import Table

RUN_SAMPLES = 3
SWEEP_SAMPLES = 1


@dataclass(frozen=True)
class Tile:
    """A headline figure: its name, its value, and what qualifies it."""

    name: str
    value: str
    detail: str = ""


@dataclass(frozen=True)
class JobPart:
    """All of one job: `charts`, `categories` and `samples` are empty where it has no figures."""

    name: str
    status: str
    words: Sequence[str]
    charts: Sequence[Chart]
    categories: Table | None
    samples: Samples | None
    config: Sequence[tuple[str, str]]
    provenance: Sequence[tuple[str, str]]


@dataclass(frozen=True)
class Page:
    """The report. `warnings` are guards, failures and whatever could not be read."""

    title: str
    circumstances: Sequence[str]
    made: str
    words: Sequence[str]
    tiles: Sequence[Tile]
    warnings: Sequence[str]
    table: Table
    charts: Sequence[Chart]
    parts: Sequence[JobPart]
    definitions: Sequence[tuple[str, str]] = DEFINITIONS


def build_page(found: Found, source: Path, derived: pd.DataFrame) -> Page:
    """Read rows and figures of the jobs under `source`; `derived` are their `derived_figures`."""
    keys = swept_keys(found.jobs) or [GEN_LEN]
    jobs = sort_jobs(found.jobs, keys)
    measured = [job for job in jobs if job.complete and job.method is not None]
    alone = len(jobs) == 1
    skipped = list(found.skipped)
    parts = []
    for job, name in zip(jobs, distinct_names(jobs, keys), strict=True):
        part, faults = _part(job, name, RUN_SAMPLES if alone else SWEEP_SAMPLES)
        parts.append(part)
        skipped += faults
    table = job_table(jobs)
    best = max(measured, key=lambda job: job.speedup.get("pooled") or 0.0, default=None)
    return Page(
        title=source.resolve().name,
        circumstances=circumstances(jobs),
        made=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        words=parts[0].words if alone else sweep_words(jobs, keys),
        tiles=_tiles(best) if best else (),
        warnings=[
            *table.notes,
            *(f"Skipped: {sentence.replace(f'{source}/', '')}" for sentence in skipped),
        ],
        table=table,
        charts=_compared(measured, keys, derived) if len(measured) > 1 else (),
        parts=parts,
    )


def _compared(jobs: Sequence[Job], keys: Sequence[str], derived: pd.DataFrame) -> list[Chart]:
    lengths = derived_chart(jobs, keys, derived)
    return [*sweep_charts(jobs, keys), *([lengths] if lengths.bars else [])]


def _part(job: Job, name: str, samples: int) -> tuple[JobPart, list[str]]:
    charts: Sequence[Chart] = ()
    chosen: Samples | None = None
    faults: list[str] = []
    words = [f"This job is {job.status}: {job.reason or 'no reason given'}."]
    if job.complete:
        words = job_words(job)
    if job.complete and job.method is not None:
        rows, faults = read_generations(job.folder)
        charts = [*job_charts(job), *cost_charts(job.summary.get("costs") or {})]
        if any(row.arm == job.method for row in rows):
            chosen = choose(rows, job.method, decoder(job), samples, read_prompts(job.folder))
    part = JobPart(
        name,
        job.status,
        words,
        charts,
        category_table(job),
        chosen,
        _facts(job.config),
        _facts({"folder": job.folder.name, "config_hash": job.config_hash} | _portable(job)),
    )
    return part, faults


def _tiles(job: Job) -> list[Tile]:
    spec = job.speculative
    lossless = job.summary.get("lossless") or {}
    low, high = job.speedup.get("low"), job.speedup.get("high")
    tiles = [
        ("Speedup", job.speedup.get("pooled"), "{:.2f}x"),
        ("Target calls per token", spec.get("calls_per_token"), "{:.2f}"),
        ("Tokens per round (tau)", spec.get("tau"), "{:.2f}"),
        ("Drafts accepted", spec.get("acceptance_rate"), "{:.1%}"),
        ("Identical outputs", lossless.get("exact_share"), "{:.1%}"),
    ]
    details = {
        "Speedup": f"{low:.2f} to {high:.2f}" if low is not None and high is not None else "",
        "Target calls per token": "baseline 1.00",
        "Identical outputs": f"of {lossless.get('pairs')}",
    }
    return [
        Tile(name, form.format(value), details.get(name, ""))
        for name, value, form in tiles
        if value is not None
    ]


def _portable(job: Job) -> dict[str, Any]:
    """The provenance of a page that leaves the machine: nobody's host name."""
    sessions = [_nameless(each) for each in job.provenance.get("sessions") or ()]
    return _nameless(job.provenance) | ({"sessions": sessions} if sessions else {})


def _nameless(provenance: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in provenance.items() if name != "host"}


def _facts(nested: Mapping[str, Any]) -> list[tuple[str, str]]:
    return [(name, "–" if value is None else str(value)) for name, value in flatten(nested).items()]
