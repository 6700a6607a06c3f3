"""The results table as a model that `render` turns into terminal text and Markdown.

A line break in a column's name or in a cell is where a narrow terminal may break it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from eagle_bench.records.generation import BASELINE
from eagle_bench.records.job import Job
from eagle_bench.results.swept import GEN_LEN, label, settings, sort_jobs, swept_keys, value_text
from eagle_bench.results.tables.remarks import notes, remark
from eagle_bench.results.tables.table import NONE, Row, Table

FIGURES = (
    "Baseline\ns",
    "Drafter\ns",
    "Speedup",
    "Throughput\nB/D tok/s",
    "Calls/Token",
    "Accept\nRate",
    "tau",
    "Lossless",
)
GAP = "Engine\ngap"
REMARKS = "Remarks"
TITLE = "Speculative decoding"
CATEGORY_COLUMNS = (
    "Category",
    "Prompts",
    "Speedup",
    "Throughput\nB/D tok/s",
    "Calls/Token\nD",
    "Accept\nRate",
    "tau",
)


def job_table(jobs: Sequence[Job], keys: Sequence[str] | None = None) -> Table:
    """One row per job.

    Parameters
    ----------
    jobs : Sequence[Job]
        Complete or not: others show their status, with the reason as a note.
    keys : Sequence[str], optional
        Dotted settings for the first columns; by default those that differ between the
        jobs, and `gen_len` when none does. Names that differ come before them.
    """
    chosen = list(swept_keys(jobs) if keys is None else keys) or [GEN_LEN]
    ordered = sort_jobs(jobs, chosen)
    remarks = [remark(job) for job in ordered]
    shown = any(remarks)
    served = any(job.summary.get("engine_gap") for job in ordered)
    headings = [label(key, chosen) for key in chosen]
    titles = list(dict.fromkeys(job.name for job in ordered))
    apart = len(titles) > 1
    headings = [*(["Name"] if apart else []), *headings]
    rows, row_names = [], []
    for job, remarked in zip(ordered, remarks, strict=True):
        values = settings(job.config)
        names = tuple(
            value_text(values[key]) if key in values else _unnamed(job, key) for key in chosen
        )
        names = (job.name or NONE, *names) if apart else names
        cells = _figures(job.summary, job.method) if job.complete else (NONE,) * len(FIGURES)
        cells += (_gap(job.summary.get("engine_gap")),) if served else ()
        rows.append(Row(names + cells + ((remarked,) if shown else ()), not job.complete))
        row_names.append(", ".join(f"{h} {v}" for h, v in zip(headings, names, strict=True)))
    told = notes(ordered, row_names)
    columns = (*headings, *FIGURES)
    columns += (*((GAP,) if served else ()), *((REMARKS,) if shown else ()))
    title = f"{titles[0]}: speculative decoding" if titles[0] and not apart else TITLE
    return Table(title, columns, tuple(rows), len(headings), tuple(told))


def category_table(job: Job) -> Table | None:
    """One row per prompt category; None when the summary has no categories."""
    categories: Mapping[str, Mapping[str, Any]] = job.summary.get("categories") or {}
    if not categories:
        return None
    rows = tuple(
        Row(
            (
                name,
                value_text(part.get("prompts")),
                speedup_text(part.get("speedup") or {}),
                _both(part.get("baseline_tok_s"), part.get("throughput_tok_s")),
                _number(part.get("calls_per_token"), ".2f"),
                _number(part.get("acceptance_rate"), ".1%"),
                _number(part.get("tau"), ".2f"),
            )
        )
        for name, part in categories.items()
    )
    return Table("By category", CATEGORY_COLUMNS, rows)


def _figures(summary: Mapping[str, Any], method: str | None) -> tuple[str, ...]:
    arms = summary.get("arms", {})
    base = arms.get(BASELINE, {})
    spec = arms.get(method, {})
    lossless = summary.get("lossless") or {}
    return (
        _number(base.get("wall_s"), ".2f"),
        _number(spec.get("wall_s"), ".2f"),
        speedup_text(summary.get("speedup") or {}),
        _both(base.get("throughput_tok_s"), spec.get("throughput_tok_s")),
        _calls(base.get("calls_per_token"), spec.get("calls_per_token")),
        _number(spec.get("acceptance_rate"), ".1%"),
        _number(spec.get("tau"), ".2f"),
        _share(lossless.get("exact_share")),
    )


def speedup_text(speedup: Mapping[str, Any]) -> str:
    """`1.93x` and `[1.86, 2.01]`; without bounds when there is no interval."""
    if speedup.get("pooled") is None:
        return NONE
    text = f"{speedup['pooled']:.2f}x"
    if speedup.get("low") is None or speedup.get("high") is None:
        return text
    return f"{text}\n[{speedup['low']:.2f}, {speedup['high']:.2f}]"


def _both(baseline: float | None, drafter: float | None) -> str:
    return f"{_number(baseline, '.1f')} /\n{_number(drafter, '.1f')}"


def _calls(baseline: float | None, drafter: float | None) -> str:
    return f"B: {_number(baseline, '.2f')}\nD: {_number(drafter, '.2f')}"


def _number(value: float | None, form: str) -> str:
    return NONE if value is None else format(value, form)


def _gap(gap: Mapping[str, Any] | None) -> str:
    """`1.00` and how many generations have all counts equal."""
    if not gap:
        return NONE
    return f"{_number(gap['pooled'], '.2f')}\n{gap['equal_prompts']} of {gap['prompts']}"


def _share(share: float | None) -> str:
    if share is None:
        return NONE
    return "100%" if share == 1.0 else f"{min(share, 0.999):.1%}"


def _unnamed(job: Job, key: str) -> str:
    return NONE if job.config else job.folder.name
