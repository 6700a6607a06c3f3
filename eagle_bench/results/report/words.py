"""The result in sentences."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from eagle_bench.records.generation import BASELINE
from eagle_bench.records.job import Job
from eagle_bench.results.charts.naming import job_name, method_name, setting

DEFAULT_CONFIDENCE = 0.95
ENGINE = "engine.name"


def job_words(job: Job) -> list[str]:
    """What a complete job found, each sentence on its own."""
    if job.method is None:
        return ["Only the baseline was measured, so there is no speedup to report."]
    lossless = job.summary.get("lossless") or {}
    advice = (job.summary.get("costs") or {}).get("advice")
    words = [
        _speedup_words(job),
        _cost_words(job),
        lossless_words(lossless),
        _control_words(lossless.get("fp32_control") or {}),
        (job.summary.get("engine_gap") or {}).get("sentence", ""),
        advice or "",
    ]
    return [sentence for sentence in words if sentence]


def sweep_words(jobs: Sequence[Job], keys: Sequence[str]) -> list[str]:
    """What a sweep found: the range of its speedups, its jobs, its outputs.

    The range comes first: the best of several jobs alone promises more than any of them holds.
    """
    states = Counter(job.status for job in jobs)
    parts = [f"{states[state]} {state}" for state in ("complete", "failed", "missing")]
    told = [part for part in parts if not part.startswith("0 ")]
    counted = f"{_count(len(jobs), 'job')}: {', '.join(told)}."
    ranked = sorted(
        (job for job in jobs if job.complete and job.speedup.get("pooled") is not None),
        key=lambda job: float(job.speedup["pooled"]),
        reverse=True,
    )
    if not ranked:
        return [counted, "None of them has a speedup to report."]
    best, worst = ranked[0], ranked[-1]
    of_engine = {str(setting(job, ENGINE)): job for job in reversed(ranked)}
    several = len(of_engine) > 1
    first = _engine_words(of_engine) if several else _range_words(best, worst, keys)
    words = [first, counted]
    if not several and best.speculative.get("calls_per_token") is not None:
        words.append(f"At the best one, {_lowered(_cost_words(best))}")
    if gaps := [gap for job in ranked if (gap := job.summary.get("engine_gap"))]:
        equal, compared = (sum(gap[name] for gap in gaps) for name in ("equal_prompts", "prompts"))
        words.append(f"In {equal} of {compared} generations an engine's counts are our own loop's.")
    inexact = [
        job for job in ranked if (job.summary.get("lossless") or {}).get("exact_share", 1.0) != 1.0
    ]
    paired = [job for job in ranked if (job.summary.get("lossless") or {}).get("pairs")]
    if inexact:
        words.append(f"Outputs differ from the baseline's in {_count(len(inexact), 'job')}.")
    elif len(paired) == len(ranked):
        words.append("In every job all outputs equal the baseline's, token for token.")
    return words


def lossless_words(lossless: Mapping[str, Any]) -> str:
    """Whether speculation changed the outputs."""
    pairs = lossless.get("pairs")
    share = lossless.get("exact_share")
    if not pairs or share is None:
        return "The outputs were not compared with the baseline's."
    if share == 1.0:
        return f"All {pairs} outputs equal the baseline's, token for token."
    grades = [
        f"{lossless[name]} {meaning}"
        for name, meaning in (
            ("ties", "graded as numerical ties"),
            ("bugs", "graded as bugs"),
            ("ungraded", "not graded"),
        )
        if lossless.get(name)
    ]
    told = f" ({', '.join(grades)})" if grades else ""
    return f"{round(pairs * (1 - share))} of {pairs} outputs differ from the baseline's{told}."


def _control_words(control: Mapping[str, Any]) -> str:
    """What the same prompts gave in float32, where nothing but equality is right."""
    if control.get("exact_share") is None:
        return ""
    return f"In float32, {control['exact_share']:.1%} of {control['pairs']} outputs are equal."


def _speedup_words(job: Job) -> str:
    summary = job.summary
    prompts = _count(summary["prompts"], "prompt")
    end = f"on {prompts} of up to {summary['gen_len']} new tokens."
    pooled, low, high = (job.speedup.get(name) for name in ("pooled", "low", "high"))
    name = method_name(job)
    if pooled is None:
        return f"No pair of outputs allows a speedup for {name}, {end}"
    if low is None or high is None:
        return f"{name} ran at {pooled:.2f}x the speed of the baseline {end}"
    confidence = summary.get("confidence") or DEFAULT_CONFIDENCE
    interval = f"{confidence:.0%} interval {low:.2f} to {high:.2f}"
    if low > 1:
        return f"{name} was {pooled:.2f}x as fast as the baseline ({interval}) {end}"
    if high < 1:
        return f"{name} was slower than the baseline, {pooled:.2f}x ({interval}), {end}"
    return (
        f"{name} measured {pooled:.2f}x the speed of the baseline ({interval}) {end} The "
        "interval contains 1.0, so these data do not tell which of the two is faster."
    )


def _cost_words(job: Job) -> str:
    spec = job.speculative
    baseline = (job.summary["arms"].get(BASELINE) or {}).get("calls_per_token")
    calls, tau, rate = (spec.get(n) for n in ("calls_per_token", "tau", "acceptance_rate"))
    words = f"The target ran {_number(calls)} times per token"
    words += f" instead of {baseline:.2f}" if baseline is not None else ""
    words += f"; a verification round gave {_number(tau)} tokens"
    return words + (f" and accepted {rate:.1%} of the drafted ones." if rate is not None else ".")


def _range_words(best: Job, worst: Job, keys: Sequence[str]) -> str:
    """The worst and the best speedup, each with its interval and its settings."""
    top = f"{_speedup(best)} at {job_name(best, keys)}"
    if best is worst:
        return f"The speedup is {top}."
    bottom = f"{_speedup(worst)} at {job_name(worst, keys)}"
    return f"The speedup goes from {bottom} to {top}; {_overlap(best, worst)}."


def _engine_words(of_engine: Mapping[str, Job]) -> str:
    """Each engine's best speedup; one is over another baseline than the next."""
    told = [f"{_speedup(job)} in {name}" for name, job in sorted(of_engine.items())]
    return (
        f"Each over its own baseline, the best speedups are {' and '.join(told)}: they tell what a "
        "head brings to an engine, and not which engine is faster."
    )


def _overlap(best: Job, worst: Job) -> str:
    low, high = best.speedup.get("low"), worst.speedup.get("high")
    if low is None or high is None:
        return "without intervals for both, the difference may be chance"
    if low > high:
        return "their intervals do not overlap"
    return "their intervals overlap, so the order may be chance"


def _speedup(job: Job) -> str:
    pooled, low, high = (job.speedup.get(name) for name in ("pooled", "low", "high"))
    interval = f" ({low:.2f} to {high:.2f})" if low is not None and high is not None else ""
    return f"{pooled:.2f}x{interval}"


def _number(value: float | None) -> str:
    return "an unknown number of" if value is None else f"{value:.2f}"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _lowered(sentence: str) -> str:
    return sentence[0].lower() + sentence[1:]
