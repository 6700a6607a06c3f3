"""Pictures of one job."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain, repeat
from typing import Any

from eagle_bench.records.job import Job
from eagle_bench.results.charts.chart import Bar, Chart

TAUS = {
    "tau": "tau",
    "tau_emitted": "emitted only",
    "tau_sglang": "SGLang's",
    "tau_macro": "mean of prompts",
}


POSITIONS = "per_position_acceptance.png"
CATEGORIES = "speedup_by_category.png"
ALONG = (
    ("acceptance_by_position", "in the output", "Tokens generated before the round"),
    ("acceptance_by_context", "in the context", "Tokens of prompt and output before the round"),
)


def job_charts(job: Job) -> list[Chart]:
    """Estimates of the speedup, tau, acceptance, categories, time by phase.

    Acceptance is shown by position in the draft, in the output and in the context.

    Parameters
    ----------
    job : Job
        Complete, with a speculative arm.
    """
    charts = [
        _estimates(job.speedup),
        _taus(job.speculative),
        _positions(job.speculative),
        *(_along(job.speculative, *which) for which in ALONG),
        _histogram(job.speculative.get("accept_histogram") or []),
        _categories(job),
        _phases(job.summary.get("phases") or {}),
    ]
    return [chart for chart in charts if chart.bars]


def _estimates(speedup: Mapping[str, Any]) -> Chart:
    decode = speedup.get("decode") or {}
    intervals = speedup.get("intervals") or {}
    found = [
        ("pooled", speedup.get("pooled"), (speedup.get("low"), speedup.get("high"))),
        ("pooled, decoding only", decode.get("pooled"), (decode.get("low"), decode.get("high"))),
        ("ratio of means", speedup.get("ratio_of_means"), intervals.get("ratio_of_means")),
        ("geometric mean", speedup.get("geomean"), intervals.get("geomean")),
    ]
    bars = [
        Bar(name, "", value, *(bounds or (None, None)))
        for name, value, bounds in found
        if value is not None
    ]
    return Chart(
        "Speedup, estimated four ways",
        "The headline is the pooled one. Papers quote others.",
        "",
        bars,
        "{:.2f}x",
        1.0,
        "baseline",
    )


def _taus(speculative: Mapping[str, Any]) -> Chart:
    intervals = speculative.get("intervals") or {}
    bars = [
        Bar(name, "", speculative[key], *(intervals.get(key) or (None, None)))
        for key, name in TAUS.items()
        if speculative.get(key) is not None
    ]
    return Chart(
        "Tokens per round, by convention",
        "tau is EAGLE's and vLLM's; the others are what other tools report.",
        "",
        bars,
    )


def _positions(speculative: Mapping[str, Any]) -> Chart:
    intervals = speculative.get("intervals") or {}
    bars = [
        Bar(str(position), series, 100 * share, *_percent(bounds))
        for series, name in (
            ("marginal", "per_position"),
            ("conditional", "per_position_conditional"),
        )
        for position, (share, bounds) in enumerate(
            zip(
                speculative.get(name) or [],
                chain(intervals.get(name) or (), repeat(None)),
                strict=False,
            ),
            1,
        )
        if share is not None
    ]
    return Chart(
        "Acceptance by position in the draft",
        "Conditional: given that the position before was accepted. A healthy head is nearly flat.",
        "Position in the draft",
        bars,
        "{:.0f}%",
        shape="lines",
        file=POSITIONS,
    )


def _percent(bounds: Sequence[float] | None) -> tuple[float | None, float | None]:
    return (100 * bounds[0], 100 * bounds[1]) if bounds else (None, None)


def _along(speculative: Mapping[str, Any], key: str, where: str, x_label: str) -> Chart:
    bars = [
        Bar(f"{part['first']}-{part['last']}", "", part["tau"])
        for part in speculative.get(key) or []
    ]
    return Chart(
        f"Tokens per round (tau) by place {where}",
        "A fall to the right says that the head holds less well as the text grows.",
        x_label,
        bars if len(bars) > 1 else [],
    )


def _histogram(counts: Sequence[int]) -> Chart:
    total = sum(counts)
    bars = [Bar(str(n), "", 100 * count / total) for n, count in enumerate(counts) if total]
    return Chart(
        "Draft tokens accepted per round",
        f"Share of {total:,} rounds.",
        "Accepted draft tokens",
        bars,
        "{:.1f}%",
        file="accept_histogram.png",
    )


def _categories(job: Job) -> Chart:
    return Chart(
        "Speedup by category",
        "The pooled speedup over the prompts of each category.",
        "Category",
        category_bars(job, ""),
        "{:.2f}x",
        1.0,
        "baseline",
        file=CATEGORIES,
    )


def category_bars(job: Job, series: str) -> list[Bar]:
    """The job's pooled speedup over the prompts of each category."""
    return [
        Bar(category, series, speedup["pooled"], speedup.get("low"), speedup.get("high"))
        for category, part in (job.summary.get("categories") or {}).items()
        if (speedup := part.get("speedup") or {}).get("pooled") is not None
    ]


def _phases(arms: Mapping[str, Mapping[str, Any]]) -> Chart:
    bars = [
        Bar(phase, arm, 1000 * phase_s / found["new_tokens"])
        for arm, found in arms.items()
        for phase, phase_s in (*found["phases_s"].items(), ("remainder", found["remainder_s"]))
    ]
    return Chart(
        "Time of a token by phase",
        "From the instrumented pass, which waits for the device at every mark and is slower than "
        "the timed one.",
        "Phase",
        bars,
        "{:.2f} ms",
    )
