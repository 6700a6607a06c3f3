"""Generation rows as the one table that every figure is a sum over."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from eagle_bench.figures.busy import shared_s
from eagle_bench.records.generation import BASELINE
from eagle_bench.records.rows import GenerationRow


def frame(rows: Sequence[GenerationRow]) -> pd.DataFrame:
    """One line per generation, in the order given.

    Besides the row's own counts and seconds the columns are

    - `busy_s`, `decode_busy_s`: seconds of the device that the generation used. At
      `batch_size` 1 they are `wall_s` and `decode_s`; in a batch, where generations overlap,
      each has its share of the union of the arm's intervals within a repeat.
    - `lost_s`: seconds of `wall_s` that others' work took (`figures.stalls`).
    - `later_tokens`, `later_calls`: tokens and target calls after the first.
    - `round_tokens`: accepted + 1, summed over rounds.
    - `emitted_tokens`: `round_tokens` without the overshoot.
    - `opening_tokens`: tokens that came before the first round (the prefill's: 1 or 0).
    - `at_eos`: 1 when EOS ended the generation, else 0.
    """
    table = pd.DataFrame(
        {
            "prompt_id": [row.prompt_id for row in rows],
            "category": [row.category for row in rows],
            "turn": [row.turn for row in rows],
            "arm": [row.arm for row in rows],
            "repeat": [row.repeat for row in rows],
            "batch_size": [row.batch_size for row in rows],
            "new_tokens": [row.new_tokens for row in rows],
            "started_s": [row.started_s for row in rows],
            "wall_s": [row.wall_s for row in rows],
            "lost_s": [row.lost_s for row in rows],
            "prefill_s": [row.prefill_s for row in rows],
            "decode_s": [row.decode_s for row in rows],
            "target_calls": _numbers(rows, "target_calls"),
            "draft_calls": _numbers(rows, "draft_calls"),
            "rounds": _numbers(rows, "rounds"),
            "overshoot": [row.overshoot for row in rows],
            "drafted": _numbers(rows, "drafted"),
            "drafted_depth": _numbers(rows, "drafted_depth"),
            "accepted": _numbers(rows, "accepted"),
            "at_eos": [int(row.stop_reason == "eos") for row in rows],
            "peak_bytes": _numbers(rows, "peak_bytes"),
            "energy_j": _numbers(rows, "energy_j"),
        }
    )
    table["round_tokens"] = table["accepted"] + table["rounds"]
    table["later_tokens"] = table["new_tokens"] - 1
    table["later_calls"] = table["target_calls"] - 1
    table["emitted_tokens"] = table["round_tokens"] - table["overshoot"]
    table["opening_tokens"] = table["new_tokens"] - table["emitted_tokens"]
    table["busy_s"] = table["wall_s"]
    table["decode_busy_s"] = table["decode_s"]
    batched = table[table["batch_size"] > 1]
    for _, group in batched.groupby(["arm", "repeat"], sort=False):
        start_s = group["started_s"].to_numpy(np.float64)
        end_s = start_s + group["wall_s"].to_numpy(np.float64)
        decode_start_s = end_s - group["decode_s"].to_numpy(np.float64)
        table.loc[group.index, "busy_s"] = shared_s(start_s, end_s)
        table.loc[group.index, "decode_busy_s"] = shared_s(decode_start_s, end_s)
    return table


def _numbers(rows: Sequence[GenerationRow], name: str) -> NDArray[np.float64]:
    """One field of all rows, NaN where an engine does not tell it."""
    return np.array([getattr(row, name) for row in rows], dtype=np.float64)


def methods(table: pd.DataFrame) -> list[str]:
    """Names of the speculative arms, in order of appearance."""
    return [str(arm) for arm in table["arm"].unique() if arm != BASELINE]
