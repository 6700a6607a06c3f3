"""A run's cost model in sentences, for the terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

SHOWN = (1, 2, 5, 9, 17, 32, 64)


def in_words(costs: Mapping[str, Any]) -> list[str]:
    """One sentence per finding of `costs.measure_costs`."""
    lines: list[str] = []
    if costs["prompts"]:
        lines.append(_floors(costs))
    if costs["method"] is not None:
        lines += [_prediction(costs), _residual(costs)]
        if costs["depth"] is not None:
            lines.append(_depth(costs["depth"]))
        if costs["tree"] is not None:
            lines.append(_tree(costs["tree"]))
        lines += [
            "had every round known how much would be accepted: "
            f"{costs['oracle_bound']:.2f}x at most",
            costs["advice"],
        ]
    return lines + list(costs["notes"])


def _floors(costs: Mapping[str, Any]) -> str:
    times = ", ".join(
        f"{1e3 * each['verify_s']:.2f} "
        f"({each['tokens']}: {each['verify_s'] / each['floor_s']:.1f}x)"
        for each in costs["verify"]
        if each["tokens"] in SHOWN
    )
    return f"a target step in ms (n tokens: times its floor): {times}"


def _prediction(costs: Mapping[str, Any]) -> str:
    found = costs["predicted"]
    ms = {key: f"{1e3 * found[key]:.2f}" for key in found if key.endswith("_s")}
    return (
        f"decode speedup of {costs['method']}: predicted {found['speedup']:.2f}x, measured "
        f"{costs['measured']['speedup']:.2f}x ({costs['difference']:+.1%}, {costs['prompts']} "
        f"prompts); {found['tau']:.2f} tokens x {ms['step_s']} ms over {ms['draft_s']} draft + "
        f"{ms['verify_s']} verify + {ms['other_s']} other + {ms['start_s']} prefill of the "
        f"drafter; {found['endless']:.2f}x for endless outputs"
    )


def _residual(costs: Mapping[str, Any]) -> str:
    parts = {term: part for term, part in costs["residual"].items() if term != "total"}
    return "measured against predicted, by term: " + ", ".join(
        f"{term} {part:+.1%}" for term, part in parts.items()
    )


def _depth(depth: Mapping[str, Any]) -> str:
    name = depth["what"]
    best = f"best {name} by the recorded rounds: {depth['best']} ({depth['best_speedup']:.2f}x)"
    if depth["best_beyond"] == depth["best"]:
        return best
    return (
        f"{best}; were later positions accepted like the last one recorded, "
        f"{depth['best_beyond']} ({depth['best_beyond_speedup']:.2f}x)"
    )


def _tree(sizes: list[Mapping[str, float]]) -> str:
    needed = ", ".join(
        f"{each['tau']:.2f} ({each['nodes']})" for each in sizes if each["nodes"] + 1 in SHOWN
    )
    return f"a tree of another size is as fast at a tau of (nodes): {needed}"
