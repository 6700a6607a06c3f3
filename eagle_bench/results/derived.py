"""Shorter generations derived from the longest run of a sweep, beside those measured."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from eagle_bench.figures.derive import shorten
from eagle_bench.figures.lossless import compare
from eagle_bench.figures.summary import summarise
from eagle_bench.records.atomic import replacing, write_text
from eagle_bench.records.generation import BASELINE
from eagle_bench.records.identity import config_hash
from eagle_bench.records.job import Job
from eagle_bench.records.rowfiles import read_generations, read_rounds
from eagle_bench.records.rows import GenerationRow
from eagle_bench.results.swept import GEN_LEN
from eagle_bench.results.tables.render import render_markdown
from eagle_bench.results.tables.table import Row, Table

DERIVED_CSV = "derived.csv"
DERIVED_TABLE = "derived.md"
SPEEDUP = "speedup"
THROUGHPUT = "throughput_tok_s"
SAME_OUTPUTS = "same_outputs"
NO_INTERVAL = 1
"""Resamples for figures whose intervals nobody reads."""
COUNTED = ("mean_new_tokens", "calls_per_token", "tau")
"""Figures that no clock enters, so that derived and measured must be equal."""
FIGURE_COLUMNS = ["from_gen_len", GEN_LEN, "arm", "figure", "derived", "measured"]
COLUMNS = ["from_job", *FIGURE_COLUMNS, "difference", "low", "high", "agrees"]
TABLE_COLUMNS = (
    *("Length", "Same\noutputs", "Calls/Token", "tau"),
    *("Baseline\ntok/s", "Drafter\ntok/s", "Speedup", "Measured\ninterval", "Holds it"),
)


def derived_figures(jobs: Sequence[Job]) -> pd.DataFrame:
    """Derive the figures of every shorter measured `gen_len` from the longest complete job.

    Jobs are compared where they differ in nothing but `gen_len`, on the prompts that both
    have, first turns only (`measure.derive`).

    Returns
    -------
    DataFrame
        A line per measured length, arm and figure (`from_job`: the long job's folder): the
        value `derived` and `measured`, their relative `difference`, and whether they agree. A
        timed figure `agrees` when the measured one's interval, `low` to `high`, holds it; a
        counted one when it is equal. `same_outputs` is the share of the measured generations
        whose tokens are the derived ones.
    """
    lines: list[dict[str, Any]] = []
    for long, *shorter in _groups(jobs):
        rows, rounds = read_generations(long.folder)[0], read_rounds(long.folder)[0]
        if any(row.accept_lengths is None for row in rows):  # An engine that does not tell rounds.
            continue
        for job in shorter:
            lines += _compared(long, shorten(rows, job.config[GEN_LEN], rounds), job)
    return pd.DataFrame(lines, columns=COLUMNS)


def write_derived(figures: pd.DataFrame, folder: Path) -> Path | None:
    """Write `derived_figures` into a sweep's folder: `derived.csv` and `derived.md`.

    Returns
    -------
    Path | None
        The Markdown file; None where no two jobs differ in nothing but `gen_len`.
    """
    if figures.empty:
        return None
    with replacing(folder / DERIVED_CSV) as temporary:
        figures.to_csv(temporary, index=False)
    tables = [_table(part) for _, part in figures.groupby("from_job", sort=False)]
    write_text(folder / DERIVED_TABLE, "\n".join(map(render_markdown, tables)))
    return folder / DERIVED_TABLE


def _groups(jobs: Sequence[Job]) -> Iterable[list[Job]]:
    """Complete jobs that differ in nothing but `gen_len`, the longest first."""
    found: dict[str, dict[int, Job]] = {}
    for job in jobs:
        if job.complete and job.method is not None and GEN_LEN in job.config:
            rest = config_hash({key: v for key, v in job.config.items() if key != GEN_LEN})
            found.setdefault(rest, {})[job.config[GEN_LEN]] = job
    for by_length in found.values():
        if len(by_length) > 1:
            yield [by_length[gen_len] for gen_len in sorted(by_length, reverse=True)]


def _compared(long: Job, derived: Sequence[GenerationRow], job: Job) -> Iterable[dict[str, Any]]:
    gen_len = job.config[GEN_LEN]
    whole = read_generations(job.folder)[0]
    measured = [row for row in whole if row.turn == 0]
    shared = {row.prompt_id for row in measured} & {row.prompt_id for row in derived}
    if not shared:
        return
    measured = [row for row in measured if row.prompt_id in shared]
    derived = [row for row in derived if row.prompt_id in shared]
    there = _summary(job, derived, NO_INTERVAL)
    here = job.summary
    if len(measured) < len(whole):
        here = _summary(job, measured, job.config["measure"]["bootstrap_resamples"])
    label = {"from_job": long.folder.name, "from_gen_len": long.config[GEN_LEN], GEN_LEN: gen_len}
    outputs = {(row.prompt_id, row.arm): row.token_ids for row in derived}
    same = [outputs.get((row.prompt_id, row.arm)) == row.token_ids for row in measured]
    yield label | {"figure": SAME_OUTPUTS, "measured": sum(same) / len(same), "agrees": all(same)}
    for arm in (BASELINE, job.method):
        for figure in (*COUNTED, THROUGHPUT):
            pair = [summary["arms"][arm].get(figure) for summary in (there, here)]
            intervals = here["arms"][arm].get("intervals") or {}
            bounds = intervals.get(figure) if figure == THROUGHPUT else None
            if None not in pair:
                yield label | _line(arm, figure, pair, bounds)
    speedups = [summary["speedup"] for summary in (there, here)]
    pair = [speedup["pooled"] for speedup in speedups]
    bounds = [speedups[1]["low"], speedups[1]["high"]]
    if None not in pair:
        yield label | _line(job.method, SPEEDUP, pair, None if None in bounds else bounds)


def _summary(job: Job, rows: Sequence[GenerationRow], resamples: int) -> dict[str, Any]:
    return summarise(
        rows,
        gen_len=job.config[GEN_LEN],
        seed=job.config["seed"],
        resamples=resamples,
        confidence=job.config["measure"]["confidence"],
        lossless=compare(rows) if job.config["temperature"] == 0 else None,
    )


def _line(
    arm: str | None, figure: str, pair: Sequence[float], bounds: Sequence[float] | None
) -> dict[str, Any]:
    derived, measured = pair
    low, high = bounds or (None, None)
    agrees: bool | None = None
    if figure in COUNTED:
        agrees = derived == measured
    elif low is not None and high is not None:
        agrees = low <= derived <= high
    return {
        "arm": arm,
        "figure": figure,
        "derived": derived,
        "measured": measured,
        "difference": derived / measured - 1,
        "low": low,
        "high": high,
        "agrees": agrees,
    }


def _table(figures: pd.DataFrame) -> Table:
    """One row per length; where derived and measured are equal, one number."""
    rows = []
    for gen_len, part in figures.groupby(GEN_LEN, sort=True):
        found = {(line["arm"], line["figure"]): line for line in part.to_dict("records")}
        method = next(arm for arm, figure in found if figure == SPEEDUP)
        speedup = found[method, SPEEDUP]
        same = next(line for (_, figure), line in found.items() if figure == SAME_OUTPUTS)
        has_interval = speedup["agrees"] is not None
        rows.append(
            Row(
                (
                    str(gen_len),
                    f"{same['measured']:.0%}",
                    _both(found[method, "calls_per_token"], "{:.3f}"),
                    _both(found[method, "tau"], "{:.3f}"),
                    _both(found[BASELINE, THROUGHPUT], "{:.1f}"),
                    _both(found[method, THROUGHPUT], "{:.1f}"),
                    _both(speedup, "{:.2f}x"),
                    f"[{speedup['low']:.2f}, {speedup['high']:.2f}]" if has_interval else "–",
                    {True: "yes", False: "no"}.get(speedup["agrees"], "–"),
                )
            )
        )
    longest = int(figures["from_gen_len"].iloc[0])
    title = f"Derived from {longest} tokens / measured"
    return Table(title, TABLE_COLUMNS, tuple(rows))


def _both(line: dict[Any, Any], form: str) -> str:
    derived, measured = form.format(line["derived"]), form.format(line["measured"])
    if line["derived"] == line["measured"]:
        return measured
    return f"{derived} / {measured} ({line['difference']:+.1%})"
