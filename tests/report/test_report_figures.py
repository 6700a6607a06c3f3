"""Charts put values where they belong, and the words say no more than the intervals allow."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eagle_bench.records.job import Job
from eagle_bench.results.charts.chart import Bar, Chart
from eagle_bench.results.charts.job import job_charts
from eagle_bench.results.charts.naming import distinct_names
from eagle_bench.results.charts.svg import bars_view, lines_view
from eagle_bench.results.charts.sweep import sweep_charts
from eagle_bench.results.report.words import job_words, lossless_words, sweep_words

values = st.floats(0.01, 1000)


def job(
    pooled: float,
    low: float | None,
    high: float | None,
    gen_len: int = 60,
    exact: float = 1.0,
    draft_len: int = 4,
) -> Job:
    summary = {
        "gen_len": gen_len,
        "prompts": 10,
        "arms": {
            "baseline": {"calls_per_token": 1.0},
            "chain": {"calls_per_token": 0.4, "tau": 2.5, "acceptance_rate": 0.375},
        },
        "speedup": {"pooled": pooled, "low": low, "high": high},
        "lossless": {"exact_share": exact, "pairs": 10, "ties": 1, "bugs": 0, "ungraded": 1},
    }
    config = {
        "gen_len": gen_len,
        "drafter": {"name": "eagle3"},
        "decoding": {"name": "chain", "draft_len": draft_len},
    }
    return Job(Path(f"job{gen_len}-{draft_len}"), "complete", config=config, summary=summary)


@given(st.lists(values, min_size=1, max_size=6), st.sampled_from([None, 1.0]))
def test_bars_are_proportional_and_inside(heights: list[float], reference: float | None) -> None:
    bars = [Bar(str(i), "", h, 0.9 * h, 1.1 * h) for i, h in enumerate(heights)]
    view = bars_view(Chart("t", "", "", bars, reference=reference))
    drawn = [group[0] for _, group in view.groups]
    unit = drawn[0].width / heights[0]
    for bar, height in zip(drawn, heights, strict=True):
        assert bar.width == pytest.approx(unit * height)
        assert bar.low is not None
        assert bar.high is not None
        assert 0 <= bar.low < bar.width < bar.high <= 100
    assert view.reference is None or view.reference == pytest.approx(unit)


@given(st.lists(values, min_size=2, max_size=6))
def test_lines_agree_with_their_ticks(heights: list[float]) -> None:
    bars = [Bar(str(i), "", h) for i, h in enumerate(heights)]
    view = lines_view(Chart("t", "", "", bars, number="{}", shape="lines"))
    (zero, first), *_, (top, last) = view.y_ticks
    assert (zero, float(first), top) == (100.0, 0.0, 0.0)
    for dot, height in zip(view.series[0], heights, strict=True):
        assert dot.y == pytest.approx(100 * (1 - height / float(last)))
        assert 0 <= dot.y <= 100
    places = [dot.x for dot in view.series[0]]
    assert places == sorted(places)
    assert 0 < places[0] < places[-1] < 100


def test_numeric_sweep_is_a_line_per_other_setting() -> None:
    jobs = [job(g / 50, None, None, g, draft_len=k) for g in (50, 100, 200) for k in (2, 4)]
    by_length, by_draft, *_ = sweep_charts(jobs, ["gen_len", "decoding.draft_len"])
    assert (by_length.shape, by_draft.shape) == ("lines", "bars")
    assert by_length.places == ["50", "100", "200"]
    assert by_length.series == ["draft_len 2", "draft_len 4"]
    assert [bar.value for bar in by_length.bars if bar.series == "draft_len 4"] == [1, 2, 4]
    assert by_draft.series == ["50 tokens", "100 tokens", "200 tokens"]


def at(folder: str, like: Job) -> Job:
    return Job(Path(folder), "complete", config=like.config, summary=like.summary)


@pytest.mark.parametrize(
    ("folders", "series"),
    [
        (["x/a", "x/b"], ["a", "b"]),
        (["x/old/0", "x/new/0"], ["old", "new"]),
    ],
)
def test_jobs_with_the_same_settings_stay_apart(folders: list[str], series: list[str]) -> None:
    jobs = [at(folder, job(1.5, None, None)) for folder in folders]
    assert sweep_charts(jobs, ["gen_len"])[0].series == series
    relative = [folder.removeprefix("x/") for folder in folders]
    assert distinct_names(jobs, ["gen_len"]) == [f"60 tokens ({name})" for name in relative]


def test_two_sweeps_over_the_same_settings_are_two_series() -> None:
    jobs = [at(f"x/{s}/{g}", job(1.5, None, None, g)) for g in (50, 100, 200) for s in "ab"]
    chart = sweep_charts(jobs, ["gen_len"])[0]
    assert (chart.series, chart.places) == (["a", "b"], ["50", "100", "200"])


def test_phases_are_milliseconds_a_token_of_each_arm() -> None:
    made = job(2.0, None, None)
    phases = {
        "baseline": {"new_tokens": 10, "phases_s": {"verify": 0.1}, "remainder_s": 0.01},
        "chain": {"new_tokens": 20, "phases_s": {"draft": 0.04, "verify": 0.1}, "remainder_s": 0.0},
    }
    with_phases = Job(
        made.folder, "complete", config=made.config, summary={**made.summary, "phases": phases}
    )
    chart = job_charts(with_phases)[-1]
    assert [(bar.place, bar.series, pytest.approx(bar.value)) for bar in chart.bars] == [
        ("verify", "baseline", 10.0),
        ("remainder", "baseline", 1.0),
        ("draft", "chain", 2.0),
        ("verify", "chain", 5.0),
        ("remainder", "chain", 0.0),
    ]


@pytest.mark.parametrize(
    ("low", "high", "told"),
    [
        (1.2, 1.8, "was 1.50x as fast as the baseline (95% interval 1.20 to 1.80)"),
        (0.9, 1.8, "do not tell which of the two is faster"),
        (None, None, "ran at 1.50x the speed of the baseline"),
    ],
)
def test_speedup_in_words(low: float | None, high: float | None, told: str) -> None:
    assert told in job_words(job(1.5, low, high))[0]


def test_slower_is_called_slower() -> None:
    assert "was slower than the baseline, 0.80x" in job_words(job(0.8, 0.7, 0.9))[0]


def test_order_of_a_sweep_is_doubted_when_intervals_overlap() -> None:
    apart = [job(1.2, 1.1, 1.3, 50), job(2.0, 1.8, 2.2, 100)]
    near = [job(1.2, 1.1, 1.9, 50), job(2.0, 1.8, 2.2, 100)]
    words = sweep_words(apart, ["gen_len"])
    assert words[:2] == [
        "The speedup goes from 1.20x (1.10 to 1.30) at 50 tokens to 2.00x (1.80 to 2.20) at 100 "
        "tokens; their intervals do not overlap.",
        "2 jobs: 2 complete.",
    ]
    assert sweep_words(near, ["gen_len"])[0].endswith(
        "their intervals overlap, so the order may be chance."
    )
    assert sweep_words(apart[:1], ["gen_len"])[0] == (
        "The speedup is 1.20x (1.10 to 1.30) at 50 tokens."
    )


def test_engines_are_not_ranked_by_their_speedups_and_their_counts_are_told() -> None:
    gap = {"equal_prompts": 9, "prompts": 10, "sentence": "vllm accepts 0.99 times ours."}
    own, served = job(1.2, 1.1, 1.3), job(2.0, 1.8, 2.2)
    jobs = [
        replace(each, config={**each.config, "engine": {"name": name}}, summary=summary)
        for each, name, summary in (
            (own, "own", own.summary),
            (served, "vllm", {**served.summary, "engine_gap": gap}),
        )
    ]
    words = sweep_words(jobs, ["engine.name"])
    assert words[0].startswith(
        "Each over its own baseline, the best speedups are 1.20x (1.10 to 1.30) in own and 2.00x "
        "(1.80 to 2.20) in vllm: "
    )
    assert "In 9 of 10 generations an engine's counts are our own loop's." in words
    assert not [each for each in words if "best one" in each]
    assert "vllm accepts 0.99 times ours." in job_words(jobs[1])


def test_changed_outputs_are_told() -> None:
    summary: dict[str, Any] = dict(job(1.5, 1.2, 1.8, exact=0.8).summary)
    assert lossless_words(summary["lossless"]) == (
        "2 of 10 outputs differ from the baseline's (1 graded as numerical ties, 1 not graded)."
    )
    changed = [job(1.5, 1.2, 1.8, exact=0.8), job(2.0, 1.8, 2.2, 100)]
    assert "Outputs differ from the baseline's in 1 job." in sweep_words(changed, ["gen_len"])
    assert "not compared" in lossless_words({"exact_share": None, "pairs": 0})


def test_an_absurd_interval_does_not_flatten_the_others() -> None:
    chart = Chart("T", "", "x", [Bar("a", "", 2.0, 0.1, 380.0), Bar("b", "", 1.5, 1.4, 1.6)])
    assert chart.top == 4.0
    assert bars_view(chart).groups[0][1][0].high == 100.0
    assert lines_view(chart).series[0][0].high == 0.0
    assert chart.interval(chart.bars[0]) == "0.10 to 380.00"
