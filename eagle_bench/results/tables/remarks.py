"""What is to be said of the jobs of a table: once, however many jobs it holds for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from eagle_bench.records.job import Job

ADVICE = {
    "few_prompts": "raise num_samples",
    "unequal_counts": "look at the flagged pairs' outputs, or use stop=length",
    "changed_output": "grade it with measure.fp32_control=true",
    "interval_crosses_one": "more prompts or repeats=auto narrow the interval",
    "loops": "use other prompts, or a chat_template that fits the target",
    "eos_share": "compare lengths with stop=length",
    "drift": "let the machine settle and repeat with resume=false",
    "disturbed": "end the other work and repeat with resume=false",
    "busy_machine": "end the other work and repeat with resume=false",
    "narrow_affinity": "set threads to the cores that are allowed",
    "throttled": "let the machine cool and repeat with resume=false",
    "beyond_head": "shorter prompts or outputs, or a head made for such contexts",
    "mixed_machines": "repeat on one machine with resume=false",
}
"""What mends a violated guard, by its name."""


def remark(job: Job) -> str:
    """The names of what is to be said of `job`, as they stand in its row."""
    if not job.complete:
        return job.status
    names = [name.partition(".")[0] for name, _ in _said(job)]
    return ", ".join(dict.fromkeys(names))


def notes(jobs: Sequence[Job], names: Sequence[str]) -> list[str]:
    """A sentence per remark with what mends it; `names` are those of the jobs' rows."""
    said: dict[str, list[tuple[str, str]]] = {}
    for job, name in zip(jobs, names, strict=True):
        if not job.complete:
            reason = f"{job.status}: {job.reason or 'no reason given'}"
            said[f"{job.folder} {reason}"] = [(name, reason)]
            continue
        for guard, detail in _said(job):
            said.setdefault(guard, []).append((name, detail))
    return [_note(guard, told, len(jobs)) for guard, told in said.items()]


def _note(guard: str, told: Sequence[tuple[str, str]], jobs: int) -> str:
    name, detail = told[0]
    advice = ADVICE.get(guard.partition(".")[0])
    mending = f" To mend it: {advice}." if advice else ""
    if len(told) == 1:
        return f"{name}: {detail}{mending}"
    return f"{guard}: {len(told)} of {jobs} jobs, as {name}: {detail}{mending}"


def _said(job: Job) -> list[tuple[str, str]]:
    """Name and sentence of each violated guard, and of what an earlier process contributed."""
    said = []
    for guard in job.summary.get("guards") or []:
        known = isinstance(guard, Mapping) and "name" in guard
        name = str(guard["name"]) if known else str(guard)
        detail = guard.get("detail") if isinstance(guard, Mapping) else None
        said.append((name, f"{name}: {detail}" if detail else name))
    resumed = _resumed(job.summary)
    return said + ([("resumed", resumed)] if resumed else [])


def _resumed(summary: Mapping[str, Any]) -> str:
    kept = summary.get("resumed_generations") or 0
    total = sum(arm["generations"] for arm in summary["arms"].values()) if kept else 0
    return f"resumed: {kept} of {total} generations are an earlier process's." if kept else ""
