"""Synthetic generation rows with known truth; the tiny models of tests/models serve here too."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from eagle_bench.records.rows import GenerationRow

sys.path.insert(0, str(Path(__file__).parents[1] / "models"))

RowFactory = Callable[..., GenerationRow]


def baseline_row(prompt: str, tokens: int, *, step_s: float = 0.01, **fields: Any) -> GenerationRow:
    """A baseline generation that takes `step_s` per token."""
    row = GenerationRow(
        prompt_id=prompt,
        category="chat",
        turn=0,
        arm="baseline",
        repeat=0,
        gen_len=tokens,
        new_tokens=tokens,
        stop_reason="length",
        prompt_tokens=10,
        token_ids=list(range(tokens)),
        wall_s=step_s * tokens,
        prefill_s=step_s,
        decode_s=step_s * (tokens - 1),
        target_calls=tokens,
        draft_calls=0,
        rounds=0,
        accept_lengths=[],
        overshoot=0,
        drafted=0,
        drafted_depth=0,
        accepted=0,
        peak_bytes=1000,
    )
    return apply(row, fields)


def chain_row(
    prompt: str,
    accept_lengths: list[int],
    *,
    draft_len: int = 4,
    overshoot: int = 0,
    round_s: float = 0.015,
    prefill_s: float = 0.01,
    **fields: Any,
) -> GenerationRow:
    """A chain generation: prefill's token, then the rounds, each taking `round_s`."""
    rounds = len(accept_lengths)
    tokens = 1 + sum(accept_lengths) + rounds - overshoot
    row = baseline_row(prompt, tokens)
    speculative = {
        "arm": "chain",
        "prefill_s": prefill_s,
        "decode_s": round_s * rounds,
        "wall_s": prefill_s + round_s * rounds,
        "target_calls": 1 + rounds,
        "draft_calls": draft_len * rounds,
        "rounds": rounds,
        "accept_lengths": accept_lengths,
        "overshoot": overshoot,
        "drafted": draft_len * rounds,
        "drafted_depth": draft_len * rounds,
        "accepted": sum(accept_lengths),
        "peak_bytes": 2000,
    }
    return apply(row, speculative | fields)


def apply(row: GenerationRow, fields: dict[str, Any]) -> GenerationRow:
    for name, value in fields.items():
        setattr(row, name, value)
    return row


@pytest.fixture(scope="session")
def baseline() -> RowFactory:
    return baseline_row


@pytest.fixture(scope="session")
def chain() -> RowFactory:
    return chain_row
