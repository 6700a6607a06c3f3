"""The pictures of a run and of a sweep."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from eagle_bench.records.job import BASELINE, Job
from eagle_bench.results.charts.png import Bar, BarChart, draw_bars
from eagle_bench.results.charts.style import COLOURS, MUTED, canvas
from eagle_bench.results.swept import (
    GEN_LEN,
    label,
    settings,
    slug,
    sort_jobs,
    swept_keys,
    value_text,
)

MAX_LINES = len(COLOURS)
AXIS_NAMES = {GEN_LEN: "Generation length (tokens)"}

Draw = Callable[[Path], Path]
"""Writes one picture to a path, and returns that path."""


def plot_run(job: Job, folder: Path) -> list[Path]:
    """Write a run's pictures: speedup, calls, acceptance by position, histogram, categories.

    Returns
    -------
    list[Path]
        The PNGs that the summary has figures for.
    """
    return [draw(folder / name) for name, draw in _run_pictures(job).items()]


def plot_missing(job: Job, folder: Path) -> list[Path]:
    """A run's pictures, of which only those are drawn that are not there."""
    return [
        path if (path := folder / name).exists() else draw(path)
        for name, draw in _run_pictures(job).items()
    ]


def plot_sweep(jobs: Sequence[Job], folder: Path) -> list[Path]:
    """Write `speedup_by_KEY.png` for each swept setting, calls per token, acceptance.

    `KEY` is `gen_len` when the jobs differ in nothing. Jobs without figures are left out.
    """
    return [draw(folder / name) for name, draw in _sweep_pictures(jobs).items()]


def _run_pictures(job: Job) -> dict[str, Draw]:
    if job.method is None:
        return {}
    pictures = _sweep_pictures([job])
    histogram = job.speculative.get("accept_histogram")
    if histogram:
        pictures["accept_histogram.png"] = partial(draw_bars, _histogram(histogram))
    categories = job.summary.get("categories") or {}
    bars = [
        Bar(name, "", speedup["pooled"], speedup.get("low"), speedup.get("high"))
        for name, part in categories.items()
        if (speedup := part.get("speedup") or {}).get("pooled") is not None
    ]
    if bars:
        chart = _speedup_chart("Speedup by category", "Category", bars)
        pictures["speedup_by_category.png"] = partial(draw_bars, chart)
    return pictures


def _sweep_pictures(jobs: Sequence[Job]) -> dict[str, Draw]:
    jobs = [job for job in jobs if job.complete and job.method is not None]
    if not jobs:
        return {}
    keys = swept_keys(jobs) or [GEN_LEN]
    jobs = sort_jobs(jobs, keys)
    pictures: dict[str, Draw] = {
        f"speedup_by_{slug(key)}.png": partial(draw_bars, chart)
        for key in keys
        if (chart := _speedup_by(jobs, key, keys)).bars
    }
    pictures["calls_per_token.png"] = partial(draw_bars, _calls_chart(jobs, keys))
    if any(job.speculative.get("per_position") for job in jobs):
        pictures["per_position_acceptance.png"] = partial(_per_position, jobs, keys)
    return pictures


def _speedup_by(jobs: Sequence[Job], key: str, keys: Sequence[str]) -> BarChart:
    ordered = sort_jobs(jobs, [key])
    others = [other for other in keys if other != key]
    alike = len({(_value(job, key), _name(job, others)) for job in jobs}) < len(jobs)
    bars = [
        Bar(
            _value(job, key),
            job.folder.name if alike else _name(job, others),
            job.speedup["pooled"],
            job.speedup.get("low"),
            job.speedup.get("high"),
        )
        for job in ordered
        if job.speedup.get("pooled") is not None
    ]
    title = "generation length" if key == GEN_LEN else label(key, keys).lower()
    return _speedup_chart(f"Speedup by {title}", AXIS_NAMES.get(key, label(key, keys)), bars)


def _speedup_chart(title: str, x_label: str, bars: Sequence[Bar]) -> BarChart:
    return BarChart(
        title,
        x_label,
        "Speedup over the baseline",
        bars,
        number="{:.2f}x",
        reference=1.0,
        reference_label="baseline",
    )


def _calls_chart(jobs: Sequence[Job], keys: Sequence[str]) -> BarChart:
    bars = [
        Bar(_name(job, keys), series, arms[arm]["calls_per_token"])
        for job in jobs
        for series, arm in (("Baseline", BASELINE), ("Speculative", job.method))
        if arm in (arms := job.summary["arms"]) and arms[arm].get("calls_per_token") is not None
    ]
    return BarChart("Target calls per token", "", "Target calls per token", bars)


def _histogram(counts: Sequence[int]) -> BarChart:
    total = sum(counts) or 1
    bars = [Bar(str(accepted), "", 100 * n / total) for accepted, n in enumerate(counts)]
    return BarChart(
        "Draft tokens accepted per round",
        "Accepted draft tokens",
        f"Share of {total:,} rounds (%)",
        bars,
        number="{:.1f}%",
    )


def _per_position(jobs: Sequence[Job], keys: Sequence[str], path: Path) -> Path:
    drawn = [job for job in jobs if job.speculative.get("per_position")][:MAX_LINES]
    deepest = max(len(job.speculative["per_position"]) for job in drawn)
    with canvas(path, 7.2) as (figure, axes):
        for job, colour in zip(drawn, COLOURS, strict=False):
            marginal: list[float | None] = job.speculative["per_position"]
            before = [1.0, *marginal[:-1]]
            conditional = [
                None if here is None or not there else here / there
                for here, there in zip(marginal, before, strict=True)
            ]
            for values, dashes in ((marginal, "-"), (conditional, "--")):
                points = [(k, v) for k, v in enumerate(values, 1) if v is not None]
                axes.plot(
                    [k for k, _ in points],
                    [100 * v for _, v in points],
                    color=colour,
                    linestyle=dashes,
                    marker="o",
                    markersize=5,
                    linewidth=2,
                    label=_name(job, keys) if dashes == "-" and len(drawn) > 1 else None,
                )
        axes.set_ylim(0, 104)
        axes.set_xlim(0.7, deepest + 0.3)
        axes.set_xticks(range(1, deepest + 1))
        axes.set_title("Acceptance by position in the draft")
        axes.set_xlabel("Position in the draft")
        axes.set_ylabel("Accepted (%)")
        for dashes, meaning in (("-", "marginal"), ("--", "conditional")):
            axes.plot([], [], color=MUTED, linestyle=dashes, linewidth=2, label=meaning)
        figure.legend(loc="outside right upper")
    return path


def _value(job: Job, key: str) -> str:
    values = settings(job.config)
    return value_text(values.get(key, job.summary.get(key)))


def _name(job: Job, keys: Sequence[str]) -> str:
    return ", ".join(map(partial(_named_value, job, keys), keys))


def _named_value(job: Job, keys: Sequence[str], key: str) -> str:
    value = _value(job, key)
    if key == GEN_LEN:
        return f"{value} tokens"
    return value if key.endswith(".name") else f"{label(key, keys)} {value}"
