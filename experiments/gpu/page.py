"""What was measured as one page that opens from disk."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eagle_bench.results.charts.chart import Bar, Chart
from eagle_bench.results.flatten import flatten
from eagle_bench.results.report.template import fill
from eagle_bench.results.tables.table import NONE, Row, Table

SHOWN = (1, 2, 3, 5, 8, 9, 16, 17, 25, 32, 33, 48, 60, 64)
"""Tokens of a step that the page shows; the JSON holds all."""


@dataclass(frozen=True)
class Section:
    """One target: its card, pictures, tables, and what was left out."""

    title: str
    lines: Sequence[str]
    charts: Sequence[Chart]
    tables: Sequence[Table]
    left_out: Sequence[str]


def page_html(found: Mapping[str, Any]) -> str:
    """The page of `measure.measure`'s findings; it loads nothing and runs no script."""
    return fill(
        "page.html.jinja",
        folder=Path(__file__).parent,
        made=found["made"],
        machine=_machine(found["provenance"]),
        sections=[_section(shape) for shape in found["shapes"]],
        provenance=[(key, str(value)) for key, value in flatten(found["provenance"]).items()],
    )


def baseline_s(shape: Mapping[str, Any]) -> dict[int, float]:
    """Seconds of a baseline's step by batch size."""
    return {
        each["batch"]: each["round_s"] for each in shape["rounds"] if each["method"] == "baseline"
    }


def _machine(provenance: Mapping[str, Any]) -> str:
    gpu = provenance["gpu"]
    name = gpu["name"] if gpu else f"{provenance['cpu']['model']} (no GPU)"
    return f"{name}, torch {provenance['versions']['torch']}"


def _section(shape: Mapping[str, Any]) -> Section:
    lines = []
    if "origin" in shape:
        lines.append(
            f"{shape['origin']}, {shape['dtype']}, {shape['parameters'] / 1e9:.2f} billion "
            f"parameters, made in {shape['load_s']:.1f} s; an EAGLE-3 head of "
            f"{shape['head_bytes'] / 1e9:.2f} GB"
        )
    lines += shape.get("card", [])
    verify, rounds = shape.get("verify", []), shape["rounds"]
    charts, tables = [], []
    if verify:
        charts.append(_steps(verify))
    if rounds:
        charts.append(_over_floor(rounds))
        charts.append(_break_even(shape))
        tables.append(_rounds_table(shape))
        tables.append(_phases_table(rounds))
    left_out = [f"{part}: {reason}" for part, reason in shape["left_out"].items()]
    return Section(shape["shape"], lines, charts, tables, left_out)


def _steps(verify: Sequence[Mapping[str, Any]]) -> Chart:
    shown = [each for each in verify if each["tokens"] in SHOWN]
    bars = [
        Bar(str(each["tokens"]), series, 1e3 * each[key])
        for series, key in (("measured", "verify_s"), ("floor", "floor_s"))
        for each in shown
    ]
    return Chart(
        "A target step over m tokens, ms",
        "flat where the weights' traffic decides: there verifying more tokens is free",
        "m tokens, batch 1",
        bars,
        shape="lines",
    )


def _over_floor(rounds: Sequence[Mapping[str, Any]]) -> Chart:
    bars = [
        Bar(str(each["batch"]), each["method"], each["round_s"] / each["floor_s"])
        for each in rounds
    ]
    return Chart(
        "A round over the floor of its target step",
        "what drafting, accepting and waiting for the host add; 1 is the device's memory traffic",
        "batch size",
        bars,
        reference=1.0,
        reference_label="the floor",
        shape="lines",
    )


def _break_even(shape: Mapping[str, Any]) -> Chart:
    step_s = baseline_s(shape)
    bars = [
        Bar(str(each["batch"]), each["method"], each["round_s"] / step_s[each["batch"]])
        for each in shape["rounds"]
        if each["method"] != "baseline" and each["batch"] in step_s
    ]
    return Chart(
        "Tokens per round that break even",
        "a round over a baseline step: the tau from which the method is faster",
        "batch size",
        bars,
        reference=1.0,
        reference_label="a round that costs a step",
        shape="lines",
    )


def _rounds_table(shape: Mapping[str, Any]) -> Table:
    step_s = baseline_s(shape)
    rows = [
        Row(
            (
                each["method"],
                str(each["batch"]),
                f"{1e3 * each['round_s']:.2f}",
                f"{1e3 * each['floor_s']:.2f}",
                f"{each['round_s'] / each['floor_s']:.2f}",
                _told(each["round_s"] / step_s[each["batch"]] if each["batch"] in step_s else None),
                _told(None if each["busy_s"] is None else 1e3 * each["busy_s"]),
                _told(each["host_share"], "{:.0%}"),
                _told(each["waits"], "{:.1f}"),
            )
        )
        for each in shape["rounds"]
    ]
    columns = ("Method", "Batch", "Round ms", "Floor ms", "Over floor", "Break-even tau")
    return Table(
        "Rounds", (*columns, "Device busy ms", "Host share", "Waits"), tuple(rows), labels=2
    )


def _phases_table(rounds: Sequence[Mapping[str, Any]]) -> Table:
    names = list(dict.fromkeys(name for each in rounds for name in each["phases_s"]))
    rows = [
        Row(
            (
                each["method"],
                str(each["batch"]),
                *(_told(1e3 * each["phases_s"].get(name, 0.0)) for name in names),
            )
        )
        for each in rounds
    ]
    return Table("Phases of a round, ms", ("Method", "Batch", *names), tuple(rows), labels=2)


def _told(value: float | None, form: str = "{:.2f}") -> str:
    return NONE if value is None else form.format(value)
