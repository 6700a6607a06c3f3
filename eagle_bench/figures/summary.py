"""The summary of a run: every headline figure from its generation rows."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import pandas as pd

from eagle_bench.figures.acceptance import (
    along,
    even_depth,
    position_intervals,
    positions,
    round_table,
)
from eagle_bench.figures.disturbance import disturbance
from eagle_bench.figures.frame import frame, methods
from eagle_bench.figures.lossless import LosslessReport
from eagle_bench.figures.pairing import pair, speedup
from eagle_bench.figures.statistics import (
    EVERYTHING,
    Sampling,
    Scale,
    cluster_interval,
    drift,
    ratio,
    share_interval,
)
from eagle_bench.figures.tau import RATIOS as TAU_RATIOS
from eagle_bench.figures.tau import macro_steps, tau_limits, taus
from eagle_bench.records.generation import BASELINE
from eagle_bench.records.rows import GenerationRow, RoundRow

NO_METHOD = ""
RATIOS = {
    "calls_per_token": ("target_calls", "new_tokens"),
    "decode_calls_per_token": ("later_calls", "later_tokens"),
    "throughput_tok_s": ("new_tokens", "busy_s"),
    "decode_tok_s": ("later_tokens", "decode_busy_s"),
}
SPECULATIVE_RATIOS = {
    "acceptance_rate": ("accepted", "drafted"),
    "acceptance_of_depth": ("accepted", "drafted_depth"),
}


def summarise(
    rows: Sequence[GenerationRow],
    *,
    gen_len: int,
    seed: int,
    resamples: int,
    confidence: float,
    lossless: LosslessReport | None,
    rounds: Sequence[RoundRow] = (),
    target_ci: float | None = None,
) -> dict[str, Any]:
    """Every figure of one run, as plain JSON types.

    Parameters
    ----------
    rows : sequence of GenerationRow
        At least one; warm-up excluded. The arm `baseline` is the reference, every other arm a
        method; the first method to appear is the headline's.
    gen_len : int
        Requested new tokens.
    seed, resamples, confidence
        Of the bootstrap; `seed` makes the intervals repeatable.
    lossless : LosslessReport | None
        The comparison at temperature 0. None means sampled output: pairs with unequal token
        counts are then counted but kept, since samples differ in length by chance.
    rounds : sequence of RoundRow
        Gives the offered depth of each round; without it, see `acceptance.round_table`.
    target_ci : float | None
        Half-width of the speedup's interval over the speedup that `prompts_needed` is for.

    Returns
    -------
    dict
        Names and formulas of the metrics page; a figure that is not defined is None.
    """
    table = frame(rows)
    sampling = Sampling(seed, resamples, confidence)
    names = methods(table)
    arms: dict[str, Any] = {}
    for arm in [BASELINE, *names]:
        own = table[table["arm"] == arm]
        if own.empty:
            continue
        arms[arm] = _arm(own, sampling)
        if arm != BASELINE:
            arm_rows = [row for row in rows if row.arm == arm]
            arm_rounds = [row for row in rounds if row.arm == arm]
            arms[arm] |= _speculation(own, arm_rows, arm_rounds, sampling, arms[arm])
    drop = lossless is not None
    pairings = {name: pair(table, name, drop_flagged=drop) for name in names or [NO_METHOD]}
    speedups = {name: speedup(found, sampling, target_ci) for name, found in pairings.items()}
    headline = names[0] if names else None
    return {
        "gen_len": gen_len,
        "prompts": int(table["prompt_id"].nunique()),
        "repeats": int(table["repeat"].nunique()),
        "batch_size": int(table["batch_size"].max()),
        "method": headline,
        "confidence": confidence,
        "arms": arms,
        "speedup": speedups[headline or NO_METHOD],
        "other_speedups": {name: speedups[name] for name in names[1:]},
        "lossless": _lossless(lossless or LosslessReport(()), confidence),
        "disturbance": disturbance(rows),
        "flagged_pairs": sum(len(pairing.flagged) for pairing in pairings.values()),
        "categories": _categories(table, headline, sampling, drop) if headline else {},
        "guards": [],
    }


def _number(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def _whole(value: float) -> int | None:
    return int(value) if math.isfinite(value) else None


def _quotient(table: pd.DataFrame, numerator: str, denominator: str) -> float | None:
    above, below = table[[numerator, denominator]].sum(skipna=False)
    return _number(float(above) / float(below)) if below else None


def _interval(
    table: pd.DataFrame,
    numerator: str,
    denominator: str,
    sampling: Sampling,
    scale: Scale = "log",
    within: tuple[float, float] = EVERYTHING,
) -> list[float] | None:
    if table[[numerator, denominator]].isna().any(axis=None):
        return None
    by_prompt = table.groupby("prompt_id", sort=False)[[numerator, denominator]].sum()
    clusters = by_prompt.to_numpy(np.float64)
    bounds = cluster_interval(clusters, ratio, sampling, scale=scale, within=within)
    return [bounds.low, bounds.high] if bounds else None


def _share_interval(share: float, prompts: int, confidence: float) -> list[float]:
    bounds = share_interval(share, prompts, confidence)
    return [bounds.low, bounds.high]


def _lossless(report: LosslessReport, confidence: float) -> dict[str, Any]:
    found = report.as_dict()
    share, prompts = found["exact_share"], len({pair.prompt_id for pair in report.pairs})
    interval = None if share is None else _share_interval(share, prompts, confidence)
    return found | {"interval": interval}


def _arm(own: pd.DataFrame, sampling: Sampling) -> dict[str, Any]:
    """Figures that every arm has."""
    first = own["repeat"] == own["repeat"].min()
    last = own["repeat"] == own["repeat"].max()
    return {
        **{name: _quotient(own, *columns) for name, columns in RATIOS.items()},
        "wall_s": float(own["busy_s"].sum()),
        "decode_s": float(own["decode_busy_s"].sum()),
        "mean_wall_s": float(own["wall_s"].mean()),
        "mean_prefill_s": float(own["prefill_s"].mean()),
        "new_tokens": int(own["new_tokens"].sum()),
        "mean_new_tokens": float(own["new_tokens"].mean()),
        "generations": len(own),
        "eos_share": float(own["at_eos"].mean()),
        "target_calls": _whole(own["target_calls"].sum(skipna=False)),
        "peak_bytes": _whole(own["peak_bytes"].max()),
        "energy_j_per_token": _number(
            float(own["energy_j"].sum(skipna=False) / own["new_tokens"].sum())
        ),
        "drift": _drift(own[first], own[last], sampling) if not first.all() else None,
        "intervals": {
            **{name: _interval(own, *columns, sampling) for name, columns in RATIOS.items()},
            "energy_j_per_token": None
            if own["energy_j"].isna().any()
            else _interval(own, "energy_j", "new_tokens", sampling),
            "eos_share": _share_interval(
                own["at_eos"].mean(), own["prompt_id"].nunique(), sampling.confidence
            ),
        },
    }


def _drift(first: pd.DataFrame, last: pd.DataFrame, sampling: Sampling) -> dict[str, float] | None:
    """Last repeat over first, on the prompts that both have."""
    keys = ["prompt_id", "turn"]
    walls = [
        half.set_index(keys)[["wall_s"]].add_suffix(f"/{name}")
        for name, half in (("first", first), ("last", last))
    ]
    both = walls[0].join(walls[1], how="inner")
    seconds = both.groupby(level="prompt_id", sort=False).sum()
    found = drift(
        seconds["wall_s/first"].to_numpy(np.float64),
        seconds["wall_s/last"].to_numpy(np.float64),
        sampling,
    )
    return asdict(found) if found else None


def _speculation(
    own: pd.DataFrame,
    rows: Sequence[GenerationRow],
    rounds: Sequence[RoundRow],
    sampling: Sampling,
    arm: dict[str, Any],
) -> dict[str, Any]:
    """Figures that only a speculative arm has, its intervals added to the arm's."""
    steps = macro_steps(own).groupby(level="prompt_id", sort=False).agg(["sum", "size"])
    by_round = round_table(rows, rounds)
    limits = tau_limits(max(map(even_depth, rows), default=0))
    clusters = steps.to_numpy(np.float64)
    macro = cluster_interval(clusters, ratio, sampling, within=limits["tau_macro"])
    accepted = positions(
        by_round["accepted"].to_numpy(np.int64), by_round["depth"].to_numpy(np.int64)
    )
    return {
        **{name: _quotient(own, *columns) for name, columns in SPECULATIVE_RATIOS.items()},
        **taus(own),
        "rounds": _whole(own["rounds"].sum(skipna=False)),
        "drafted": _whole(own["drafted"].sum(skipna=False)),
        "drafted_depth": _whole(own["drafted_depth"].sum(skipna=False)),
        "accepted": _whole(own["accepted"].sum(skipna=False)),
        "overshoot": int(own["overshoot"].sum()),
        "draft_calls": _whole(own["draft_calls"].sum(skipna=False)),
        "per_position": accepted.marginal,
        "per_position_conditional": accepted.conditional,
        "accept_histogram": accepted.histogram,
        "acceptance_by_position": along(by_round, "position"),
        "acceptance_by_context": along(by_round, "context_len"),
        "intervals": {
            **arm["intervals"],
            **{
                name: _interval(own, *columns, sampling, "share")
                for name, columns in SPECULATIVE_RATIOS.items()
            },
            **{
                name: _interval(own, *columns, sampling, within=limits[name])
                for name, columns in TAU_RATIOS.items()
            },
            "tau_macro": [macro.low, macro.high] if macro else None,
            **position_intervals(by_round, sampling),
        },
    }


def _categories(
    table: pd.DataFrame, method: str, sampling: Sampling, drop_flagged: bool
) -> dict[str, Any]:
    """The headline figures of each category of prompts."""
    found: dict[str, Any] = {}
    for category, group in table.groupby("category", sort=True):
        own = group[group["arm"] == method]
        if own.empty:
            continue
        pooled = speedup(pair(group, method, drop_flagged=drop_flagged), sampling)
        baseline = group[group["arm"] == BASELINE]
        found[str(category)] = {
            "prompts": int(own["prompt_id"].nunique()),
            "new_tokens": int(own["new_tokens"].sum()),
            "mean_new_tokens": float(own["new_tokens"].mean()),
            "eos_share": float(own["at_eos"].mean()),
            "throughput_tok_s": _quotient(own, *RATIOS["throughput_tok_s"]),
            "baseline_tok_s": _quotient(baseline, *RATIOS["throughput_tok_s"]),
            "calls_per_token": _quotient(own, *RATIOS["calls_per_token"]),
            "tau": _quotient(own, *TAU_RATIOS["tau"]),
            "acceptance_rate": _quotient(own, *SPECULATIVE_RATIOS["acceptance_rate"]),
            "speedup": {key: pooled[key] for key in ("pooled", "low", "high")},
        }
    return found
