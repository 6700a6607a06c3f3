"""Pictures that compare the jobs of a sweep."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pandas as pd

from eagle_bench.records.generation import BASELINE
from eagle_bench.records.job import Job
from eagle_bench.results.charts.chart import Bar, Chart
from eagle_bench.results.charts.job import CATEGORIES, POSITIONS, category_bars
from eagle_bench.results.charts.naming import (
    distinct_names,
    job_name,
    place_name,
    series_names,
    setting,
)
from eagle_bench.results.derived import SPEEDUP
from eagle_bench.results.swept import GEN_LEN, label, slug, sort_jobs

MAX_SERIES = 7
MIN_LINE_PLACES = 3

Value = tuple[float, float | None, float | None]
Figure = Callable[[Job], Value | None]


def sweep_charts(jobs: Sequence[Job], keys: Sequence[str]) -> list[Chart]:
    """Speedup by each swept setting, then calls, tau, acceptance and categories.

    Parameters
    ----------
    jobs : Sequence[Job]
        Complete jobs with a speculative arm, sorted.
    keys : Sequence[str]
        The swept settings, the first one the axis of the figures after the speedup.
    """
    speedups = [
        _by_key(
            jobs,
            keys,
            key,
            _speedup,
            title=f"Speedup by {_axis(key, keys).lower()}",
            note="Throughput over the baseline's, with its interval.",
            file=f"speedup_by_{slug(key)}.png",
            number="{:.2f}x",
            reference=1.0,
        )
        for key in keys
    ]
    calls = _by_key(
        jobs,
        keys,
        keys[0],
        _arm_figure("calls_per_token"),
        title="Target calls per token",
        note="How often the target ran for one token. The baseline runs once.",
        file="calls_per_token.png",
        reference=_baseline_calls(jobs),
    )
    tau = _by_key(
        jobs,
        keys,
        keys[0],
        _arm_figure("tau"),
        title="Tokens per verification round (tau)",
        note="Accepted draft tokens and the target's own next token.",
        file="tau.png",
    )
    charts = [*speedups, calls, tau, _positions(jobs, keys), _categories(jobs, keys)]
    return [chart for chart in charts if chart.bars]


def derived_chart(jobs: Sequence[Job], keys: Sequence[str], figures: pd.DataFrame) -> Chart:
    """Derived speedups beside the measured ones; `figures` are `derived_figures`' rows."""
    others = [key for key in keys if key != GEN_LEN]
    names = {job.folder.name: job_name(job, others) if others else "" for job in jobs}
    lines = figures[figures["figure"] == SPEEDUP].sort_values(GEN_LEN).to_dict("records")
    bars = [
        bar
        for line in lines
        for bar in (
            Bar(
                str(line[GEN_LEN]),
                " ".join(filter(None, ("measured", names[line["from_job"]]))),
                line["measured"],
                line["low"],
                line["high"],
            ),
            Bar(
                str(line[GEN_LEN]),
                f"derived from {line['from_gen_len']} {names[line['from_job']]}".strip(),
                line["derived"],
            ),
        )
    ]
    return Chart(
        "Speedup of shorter generations, derived and measured",
        "The longest run holds the rounds of the shorter ones. Its seconds are cut by rounds, so "
        "a derived figure has the long run's mean cost of a round.",
        "Generation length (tokens)",
        bars,
        "{:.2f}x",
        1.0,
        "baseline",
    )


def _speedup(job: Job) -> Value | None:
    return _bounded(job.speedup.get("pooled"), job.speedup.get("low"), job.speedup.get("high"))


def _arm_figure(name: str) -> Figure:
    def figure(job: Job) -> Value | None:
        low, high = (job.speculative.get("intervals") or {}).get(name) or (None, None)
        return _bounded(job.speculative.get(name), low, high)

    return figure


def _bounded(value: float | None, low: float | None, high: float | None) -> Value | None:
    return None if value is None else (value, low, high)


def _baseline_calls(jobs: Sequence[Job]) -> float | None:
    return next(
        (
            arms[BASELINE]["calls_per_token"]
            for job in jobs
            if BASELINE in (arms := job.summary["arms"])
        ),
        None,
    )


def _axis(key: str, keys: Sequence[str]) -> str:
    return "Generation length" if key == GEN_LEN else label(key, keys)


def _by_key(
    jobs: Sequence[Job],
    keys: Sequence[str],
    key: str,
    figure: Figure,
    *,
    title: str,
    note: str,
    file: str,
    number: str = "{:.2f}",
    reference: float | None = None,
) -> Chart:
    ordered = sort_jobs(jobs, [key])
    names = series_names(ordered, key, [other for other in keys if other != key])
    bars = [
        Bar(place_name(job, key), name, *value)
        for job, name in zip(ordered, names, strict=True)
        if (value := figure(job)) is not None
    ]
    numeric = all(isinstance(setting(job, key), (int, float)) for job in jobs)
    lines = numeric and len({bar.place for bar in bars}) >= MIN_LINE_PLACES
    few = len({bar.series for bar in bars}) <= MAX_SERIES
    x_label = "Generation length (tokens)" if key == GEN_LEN else _axis(key, keys)
    return Chart(
        title,
        note,
        x_label,
        bars,
        number,
        reference,
        "baseline",
        "lines" if lines and few else "bars",
        file,
    )


def _positions(jobs: Sequence[Job], keys: Sequence[str]) -> Chart:
    bars = [
        Bar(str(position), name, 100 * share)
        for job, name in _named(jobs, keys)
        for position, share in enumerate(job.speculative.get("per_position") or [], 1)
        if share is not None
    ]
    return Chart(
        "Acceptance by position in the draft",
        "Share of the rounds that offered a position in which it was accepted" + _only_some(jobs),
        "Position in the draft",
        sorted(bars, key=lambda bar: int(bar.place)),
        "{:.0f}%",
        shape="lines",
        file=POSITIONS,
    )


def _categories(jobs: Sequence[Job], keys: Sequence[str]) -> Chart:
    bars = [bar for job, name in _named(jobs, keys) for bar in category_bars(job, name)]
    return Chart(
        "Speedup by category",
        "The same speedup over the prompts of each category" + _only_some(jobs),
        "Category",
        bars,
        "{:.2f}x",
        1.0,
        "baseline",
        file=CATEGORIES,
    )


def _named(jobs: Sequence[Job], keys: Sequence[str]) -> list[tuple[Job, str]]:
    return list(zip(jobs, distinct_names(jobs, keys), strict=True))[:MAX_SERIES]


def _only_some(jobs: Sequence[Job]) -> str:
    if len(jobs) <= MAX_SERIES:
        return "."
    return f"; the first {MAX_SERIES} of {len(jobs)} jobs, the others are below."
