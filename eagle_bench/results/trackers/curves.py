"""The numbers of a job that dashboards draw, under names that all trackers share."""

from __future__ import annotations

from eagle_bench.records.generation import BASELINE
from eagle_bench.records.job import Job
from eagle_bench.results.flatten import flatten
from eagle_bench.results.swept import settings, value_text

STEP = "gen_len"
PREFIX = "speed/"
ENGINE, OURS = "engine.name", "own"
NAMED = ("decoding.name", "drafter.name", STEP)


def curve_point(job: Job) -> dict[str, float]:
    """`gen_len` and the headline figures as `speed/NAME`; undefined ones are left out."""
    baseline = job.summary.get("arms", {}).get(BASELINE, {})
    figures = {
        "speedup": job.speedup.get("pooled"),
        "speedup_low": job.speedup.get("low"),
        "speedup_high": job.speedup.get("high"),
        "baseline_tok_s": baseline.get("throughput_tok_s"),
        "throughput_tok_s": job.speculative.get("throughput_tok_s"),
        "calls_per_token": job.speculative.get("calls_per_token"),
        "tau": job.speculative.get("tau"),
        "acceptance_rate": job.speculative.get("acceptance_rate"),
    }
    point = {PREFIX + name: float(value) for name, value in figures.items() if value is not None}
    return {STEP: float(job.summary[STEP]), **point} if job.complete else {}


def numbers(job: Job) -> dict[str, float]:
    """Every number of the summary by dotted name."""
    return {
        name: float(value)
        for name, value in flatten(job.summary).items()
        if isinstance(value, (int, float))
    }


def run_name(job: Job) -> str:
    """A name to tell runs apart by: the run's own, an engine's, then method, drafter, length."""
    values = settings(job.config)
    own = [job.name] if job.name else []
    own += [str(values[ENGINE])] if values.get(ENGINE, OURS) != OURS else []
    parts = [*own, *(value_text(values[key]) for key in NAMED if key in values)]
    return "-".join(parts) or job.folder.name
