"""The results table: one model, rendered for the terminal and as Markdown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from rich import box
from rich.table import Table as RichTable
from rich.text import Text

from eagle_bench.results.job import BASELINE, Job
from eagle_bench.results.swept import (
    GEN_LEN,
    label,
    settings,
    sort_jobs,
    swept_keys,
    value_text,
)

NONE = "–"
FIGURES = (
    "Baseline s",
    "Drafter s",
    "Speedup",
    "Throughput B / D tok/s",
    "Calls/Token",
    "Accept Rate",
    "tau",
    "Lossless",
)
REMARKS = "Remarks"


@dataclass(frozen=True)
class Row:
    """Cells in the order of the table's columns; a failed job has only labels and a remark."""

    cells: tuple[str, ...]
    failed: bool = False


@dataclass(frozen=True)
class Table:
    """Everything a renderer needs. The first `labels` columns name the row."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[Row, ...]
    labels: int = 1
    notes: tuple[str, ...] = field(default=())


def job_table(jobs: Sequence[Job], keys: Sequence[str] | None = None) -> Table:
    """One row per job.

    Parameters
    ----------
    jobs : Sequence[Job]
        Complete or not: others show their status, with the reason as a note.
    keys : Sequence[str], optional
        Dotted settings for the first columns; by default those that differ between the
        jobs, and `gen_len` when none does.
    """
    chosen = list(swept_keys(jobs) if keys is None else keys) or [GEN_LEN]
    ordered = sort_jobs(jobs, chosen)
    remarks = [_remark(job) for job in ordered]
    shown = any(remarks)
    rows = []
    notes = []
    for job, remark in zip(ordered, remarks, strict=True):
        values = settings(job.config)
        names = tuple(
            value_text(values[key]) if key in values else _unnamed(job, key) for key in chosen
        )
        cells = _figures(job.summary, job.method) if job.complete else (NONE,) * len(FIGURES)
        rows.append(Row(names + cells + ((remark,) if shown else ()), not job.complete))
        notes += [f"{', '.join(names)}: {note}" for note in _notes(job)]
    columns = (*(label(key, chosen) for key in chosen), *FIGURES, *((REMARKS,) if shown else ()))
    return Table("Speculative decoding", columns, tuple(rows), len(chosen), tuple(notes))


def category_table(job: Job) -> Table | None:
    """One row per prompt category; None when the summary has no categories."""
    categories: Mapping[str, Mapping[str, Any]] = job.summary.get("categories") or {}
    if not categories:
        return None
    rows = tuple(
        Row((name, str(summary.get("prompts", NONE)), *_figures(summary, job.method)))
        for name, summary in categories.items()
    )
    return Table("By category", ("Category", "Prompts", *FIGURES), rows)


def render_rich(table: Table) -> RichTable:
    """The table for a terminal."""
    rendered = RichTable(title=table.title, box=box.SIMPLE_HEAD, title_justify="left")
    for index, column in enumerate(table.columns):
        left = index < table.labels or column == REMARKS
        rendered.add_column(Text(column), justify="left" if left else "right", overflow="fold")
    for row in table.rows:
        rendered.add_row(*map(Text, row.cells), style="red" if row.failed else "")
    if table.notes:
        rendered.caption = Text("\n".join(table.notes))
        rendered.caption_justify = "left"
    return rendered


def render_markdown(table: Table) -> str:
    """The table as a GitHub-flavoured Markdown section."""
    aligned = [
        ":--" if index < table.labels or column == REMARKS else "--:"
        for index, column in enumerate(table.columns)
    ]
    grid = [table.columns, aligned, *(row.cells for row in table.rows)]
    lines = ["| " + " | ".join(_escaped(cell) for cell in cells) + " |" for cells in grid]
    notes = [f"- {_escaped(note)}" for note in table.notes]
    blocks = [f"## {table.title}", "\n".join(lines), "\n".join(notes)]
    return "\n\n".join(filter(None, blocks)) + "\n"


def run_markdown(job: Job) -> str:
    """What `table.md` of one job holds: its row, then its categories."""
    tables = [job_table([job]), category_table(job)]
    return "\n".join(render_markdown(table) for table in tables if table is not None)


def _figures(summary: Mapping[str, Any], method: str | None) -> tuple[str, ...]:
    arms = summary.get("arms", {})
    base = arms.get(BASELINE, {})
    spec = arms.get(method, {})
    lossless = summary.get("lossless") or {}
    return (
        _number(base.get("wall_s"), ".2f"),
        _number(spec.get("wall_s"), ".2f"),
        speedup_text(summary.get("speedup") or {}),
        f"{_number(base.get('throughput_tok_s'), '.1f')} / "
        f"{_number(spec.get('throughput_tok_s'), '.1f')}",
        f"B: {_number(base.get('calls_per_token'), '.2f')} "
        f"D: {_number(spec.get('calls_per_token'), '.2f')}",
        _number(spec.get("acceptance_rate"), ".1%"),
        _number(spec.get("tau"), ".2f"),
        _share(lossless.get("exact_share")),
    )


def speedup_text(speedup: Mapping[str, Any]) -> str:
    """`1.93x [1.86, 2.01]`; without bounds when there is no interval."""
    if speedup.get("pooled") is None:
        return NONE
    text = f"{speedup['pooled']:.2f}x"
    if speedup.get("low") is None or speedup.get("high") is None:
        return text
    return f"{text} [{speedup['low']:.2f}, {speedup['high']:.2f}]"


def _number(value: float | None, form: str) -> str:
    return NONE if value is None else format(value, form)


def _share(share: float | None) -> str:
    if share is None:
        return NONE
    return "100%" if share == 1.0 else f"{min(share, 0.999):.1%}"


def _unnamed(job: Job, key: str) -> str:
    return NONE if job.config else job.folder.name


def _remark(job: Job) -> str:
    if not job.complete:
        return job.status
    return ", ".join(_guard_name(guard) for guard in job.summary.get("guards") or [])


def _notes(job: Job) -> list[str]:
    if not job.complete:
        return [f"{job.status}: {job.reason or 'no reason given'}"]
    return [_guard_text(guard) for guard in job.summary.get("guards") or []]


def _guard_name(guard: Any) -> str:
    return str(guard["name"]) if isinstance(guard, Mapping) and "name" in guard else str(guard)


def _guard_text(guard: Any) -> str:
    if isinstance(guard, Mapping) and "detail" in guard:
        return f"{_guard_name(guard)}: {guard['detail']}"
    return _guard_name(guard)


def _escaped(cell: str) -> str:
    return cell.replace("|", "\\|").replace("\n", " ")
