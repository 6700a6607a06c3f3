"""Guards against the machine: others' work, too few cores, heat, change."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from eagle_bench.machine.quiet import SPARE_CORES, leave_room
from eagle_bench.records.rows import GenerationRow

CLOCK_DROP = 0.1
DRIFT_SIZE = 0.05
THERMAL_BITS = 0x8 | 0x20 | 0x40 | 0x80
"""NVML: hardware slowdown, software thermal, hardware thermal, power brake."""


@dataclass(frozen=True)
class Guard:
    """One check. `detail` is a sentence with the numbers it rests on."""

    name: str
    ok: bool
    detail: str


def narrow_affinity(threads: int, affinity: Sequence[int] | None) -> Guard:
    """More threads than allowed cores wait for each other."""
    allowed = len(affinity) if affinity is not None else threads
    return Guard(
        "narrow_affinity",
        allowed >= threads,
        f"{threads} threads run on {allowed} cores allowed by the CPU affinity.",
    )


def busy_machine(rows: Sequence[GenerationRow], provenance: Mapping[str, Any]) -> Guard:
    """Others' work on the cores or the GPU that the run needs slows the arms unequally.

    Looked at before the run and, on average, while its generations ran.
    """
    cores, threads, gpu = provenance["cpu"]["cores"], provenance["threads"], provenance["gpu"]
    allowed = len(provenance["cpu"]["affinity"] or range(cores))
    room, started = room_at_start(provenance)
    during = _others_cores(rows)
    processes = max(
        gpu["compute_processes"] if gpu else 0, *(row.gpu_processes or 0 for row in rows)
    )
    return Guard(
        "busy_machine",
        room and leave_room(during, threads, allowed) and processes <= 1,
        f"{started}, and {during:.1f} of {allowed} while its generations ran"
        + (f"; {processes} processes held the GPU." if gpu else "."),
    )


def room_at_start(provenance: Mapping[str, Any]) -> tuple[bool, str]:
    """Whether others left the run the cores that it needs as it began, and what they used."""
    cores, threads = provenance["cpu"]["cores"], provenance["threads"]
    started = provenance["load"]["busy_cores"]
    return started + threads <= cores + SPARE_CORES, (
        f"Other processes used {started:.1f} of {cores} cores at the start of a run with "
        f"{threads} threads"
    )


def _others_cores(rows: Sequence[GenerationRow]) -> float:
    """Cores' worth of others' work on average over the generations' time."""
    told = [(row.others_cores, row.wall_s) for row in rows if row.others_cores is not None]
    seconds = sum(wall_s for _, wall_s in told)
    return sum(cores * wall_s for cores, wall_s in told) / seconds if told else 0.0


def throttled(before: Mapping[str, Any], after: Mapping[str, Any] | None) -> Guard:
    """Clocks that fell during the run make late measurements slow."""
    later = after or {}
    fallen = [
        f"{name} fell from {before[name]:.0f} to {later[name]:.0f}"
        for name in ("cpu_mhz", "gpu_sm_mhz")
        if before.get(name) and later.get(name) and later[name] < (1 - CLOCK_DROP) * before[name]
    ]
    if (later.get("gpu_throttle_mask") or 0) & THERMAL_BITS:
        fallen.append("the GPU reports thermal or power throttling")
    return Guard("throttled", not fallen, "; ".join(fallen) or "Clocks held.")


def mixed_machines(now: Mapping[str, Any], earlier: Sequence[Mapping[str, Any]]) -> Guard:
    """Rows of a resumed run are comparable only where the same machine made them."""
    here = _machine(now)
    changed = {
        name: dict.fromkeys([was[name], here[name]])
        for was in map(_machine, earlier)
        for name in here
        if was[name] != here[name]
    }
    parts = [f"{name} {' and '.join(map(str, values))}" for name, values in changed.items()]
    return Guard(
        "mixed_machines",
        not changed,
        f"The run was resumed under other conditions: {', '.join(parts)}."
        if parts
        else f"All {1 + len(earlier)} sessions of the run were on the same machine.",
    )


def _machine(provenance: Mapping[str, Any]) -> dict[str, Any]:
    gpu = provenance.get("gpu")
    return {
        "host": provenance["host"],
        "CPU": provenance["cpu"]["model"],
        "GPU": gpu["name"] if gpu else None,
        "threads": provenance["threads"],
    }


def drifting(arm: str, drift: Mapping[str, float] | None) -> Guard:
    """The same work taking ever longer (or shorter) means that the machine changed."""
    if drift is None:
        return Guard(f"drift.{arm}", True, f"{arm} was not repeated.")
    outside = not drift["low"] <= 1.0 <= drift["high"]
    return Guard(
        f"drift.{arm}",
        not (outside and abs(drift["ratio"] - 1) > DRIFT_SIZE),
        f"The last repetition of {arm} took {drift['ratio']:.3f} times the first one "
        f"({drift['low']:.3f} to {drift['high']:.3f}).",
    )
