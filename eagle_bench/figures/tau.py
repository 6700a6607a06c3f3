"""Acceptance length: four conventions of the field, named apart.

| name | who reports it |
|---|---|
| `tau` | EAGLE, vLLM (1 + accepted / drafts), we |
| `tau_emitted` | what came out of the rounds after cutting at EOS and `gen_len` |
| `tau_sglang` | SGLang: the token that prefill made counts, its call does not |
| `tau_macro` | NVIDIA (SPEED-Bench), AngelSlim: mean of means, prefill is a step of one token |
"""

from __future__ import annotations

import pandas as pd

RATIOS = {
    "tau": ("round_tokens", "rounds"),
    "tau_emitted": ("emitted_tokens", "rounds"),
    "tau_sglang": ("new_tokens", "rounds"),
}
"""Numerator and denominator (columns of `frame`) of the conventions that pool all rounds."""


def tau_limits(deepest: int) -> dict[str, tuple[float, float]]:
    """The least and the greatest tokens per round that drafts of `deepest` levels allow."""
    most = deepest + 1.0
    return {
        "tau": (1.0, most),
        "tau_emitted": (1.0, most),
        "tau_sglang": (1.0, most + 1.0),
        "tau_macro": (0.0, most),
    }


def taus(table: pd.DataFrame) -> dict[str, float | None]:
    """Tokens per verification round of one arm (lines of `frame`), by each convention.

    None when there was no round.
    """
    if table["rounds"].isna().any() or not table["rounds"].sum():
        return dict.fromkeys([*RATIOS, "tau_macro"])
    pooled = {
        name: float(table[tokens].sum() / table[rounds].sum())
        for name, (tokens, rounds) in RATIOS.items()
    }
    return {**pooled, "tau_macro": float(macro_steps(table).mean())}


def macro_steps(table: pd.DataFrame) -> pd.Series[float]:
    """Mean step length of each prompt and turn, repeats pooled, the final EOS left out.

    Steps are the rounds and, where prefill made a token, the prefill.
    """
    steps = table.assign(
        kept_tokens=table["new_tokens"] - table["at_eos"],
        steps=table["rounds"] + table["opening_tokens"],
    )
    sums = steps.groupby(["prompt_id", "turn"], sort=False)[["kept_tokens", "steps"]].sum()
    return sums["kept_tokens"] / sums["steps"]
