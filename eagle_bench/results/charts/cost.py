"""Pictures of a run's cost model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from eagle_bench.results.charts.chart import Bar, Chart

TERMS = {
    "draft_s": "draft",
    "verify_s": "verify",
    "other_s": "other work",
    "start_s": "drafter's prefill",
}


def cost_charts(costs: Mapping[str, Any]) -> list[Chart]:
    """Steps beside their floors, the round's parts, speedups, residual, draft lengths.

    Parameters
    ----------
    costs : mapping
        `summary["costs"]` of a job (see `measure.cost.costs.measure_costs`), or empty.
    """
    charts = []
    if costs.get("prompts"):
        charts.append(_steps(costs["verify"]))
    if costs.get("method") is not None:
        charts += [_speedups(costs), _rounds(costs), _residual(costs["residual"])]
        if costs["depth"] is not None:
            charts.append(_depths(costs["depth"]))
    return charts


def _steps(verify: Sequence[Mapping[str, float]]) -> Chart:
    bars = [
        Bar(str(each["tokens"]), series, 1000 * each[key])
        for series, key in (("measured", "verify_s"), ("floor", "floor_s"))
        for each in verify
    ]
    return Chart(
        "A step of the target beside its floor",
        "The floor is what memory bandwidth and matrix rate allow. A flat start means that "
        "verifying drafts is nearly free.",
        "Tokens verified at once",
        bars,
        "{:.2f} ms",
        shape="lines",
    )


def _speedups(costs: Mapping[str, Any]) -> Chart:
    bars = [
        Bar("measured", "", costs["measured"]["speedup"]),
        Bar("predicted", "", costs["predicted"]["speedup"]),
        Bar("predicted, endless outputs", "", costs["predicted"]["endless"]),
        Bar("oracle bound", "", costs["oracle_bound"]),
    ]
    return Chart(
        "Decode speedup, predicted and measured",
        "Predicted from parts that were timed by themselves. The oracle knows beforehand how much "
        "each round will accept.",
        "",
        bars,
        "{:.2f}x",
        1.0,
        "baseline",
    )


def _rounds(costs: Mapping[str, Any]) -> Chart:
    bars = [
        Bar(name, series, 1000 * costs[key][term])
        for term, name in TERMS.items()
        for series, key in (("timed by itself", "predicted"), ("in generations", "measured"))
    ]
    step_ms = 1000 * costs["predicted"]["step_s"]
    return Chart(
        "Time of a round by part",
        f"A round yields {costs['predicted']['tau']:.2f} tokens; the baseline takes "
        f"{step_ms:.2f} ms for one.",
        "Part",
        bars,
        "{:.2f} ms",
    )


def _residual(residual: Mapping[str, float]) -> Chart:
    bars = [
        Bar(term, "makes it slower" if part < 0 else "makes it faster", 100 * abs(part))
        for term, part in residual.items()
        if term != "total"
    ]
    return Chart(
        "Where measurement and prediction differ",
        f"Each term's share of the difference; with their signs they add up to "
        f"{residual['total']:+.1%}.",
        "Term",
        bars,
        "{:.1f}%",
    )


def _depths(depth: Mapping[str, Any]) -> Chart:
    bars = [
        Bar(
            str(each["depth"]),
            "recorded acceptance" if each["recorded"] else "extrapolated",
            each["speedup"],
        )
        for each in depth["curve"]
    ]
    name = "draft length" if depth["what"] == "draft_len" else "depth of the tree"
    return Chart(
        f"Predicted decode speedup by {name}",
        f"Best of those that the recorded rounds tell of: {depth['best']}.",
        name.capitalize(),
        bars,
        "{:.2f}x",
        1.0,
        "baseline",
    )
