"""What was measured, on what and when: the line without which a figure says nothing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import PurePath
from typing import Any

from eagle_bench.records.job import Job
from eagle_bench.results.flatten import flatten

NAMED = 3
"""So many different values are named, more are counted."""


def circumstances(jobs: Sequence[Job]) -> list[str]:
    """Target, drafter, prompts, number type, machine, day and commit of all `jobs`, no paths.

    Facts that no job tells are left out.
    """
    told = [flatten(job.provenance) for job in jobs]
    commits = _all((fact.get("git.sha") or "")[:8] for fact in told)
    facts = {
        "targets": _all(_name(job.config.get("model")) for job in jobs),
        "drafters": _all(_name(job.config.get("drafter")) for job in jobs),
        "prompt sets": _all(map(_prompts, told)),
        "number types": _all(fact.get("target.dtype") for fact in told),
        "machines": _all(map(_machine, told)),
        "days": _all((fact.get("timestamp") or "")[:10] for fact in told),
        "commits": [f"commit {commit}" for commit in commits],
    }
    return [
        ", ".join(values) if len(values) <= NAMED else f"{len(values)} {many}"
        for many, values in facts.items()
        if values
    ]


def _all(values: Iterable[object]) -> list[str]:
    return list(dict.fromkeys(str(value) for value in values if value))


def _name(part: Any) -> str:
    """The name of the `model` or `drafter`, or of its folder or file."""
    part = part or {}
    return PurePath(str(part["path"])).name if part.get("path") else str(part.get("name") or "")


def _prompts(told: dict[str, Any]) -> str:
    name, count = told.get("dataset.name"), told.get("dataset.prompts")
    return f"{name} ({count} prompts)" if name else ""


def _machine(told: dict[str, Any]) -> str:
    if told.get("gpu.name"):
        return str(told["gpu.name"])
    threads, cpu = told.get("threads"), told.get("cpu.model")
    return f"{threads} thread{'' if threads == 1 else 's'} of {cpu}" if cpu else ""
