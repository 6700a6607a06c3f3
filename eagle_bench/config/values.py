"""Kinds of values that settings share, and how they are checked and written down."""

from __future__ import annotations

from enum import Enum
from typing import Any

from eagle_bench.errors import UserError


class Stop(Enum):
    """What ends a generation: EOS or `gen_len`, or exactly `gen_len` tokens."""

    eos = "eos"
    length = "length"


class DType(Enum):
    """`auto` is bfloat16 on a GPU that has it and float32 elsewhere."""

    auto = "auto"
    float32 = "float32"
    bfloat16 = "bfloat16"
    float16 = "float16"


class Attention(Enum):
    """Attention implementation of a transformers target or an EAGLE head."""

    sdpa = "sdpa"
    eager = "eager"
    flex_attention = "flex_attention"
    flex_attention_mla = "flex_attention_mla"


class Implementation(Enum):
    """`auto` takes the lean forward where it fits and transformers' own elsewhere."""

    auto = "auto"
    lean = "lean"
    transformers = "transformers"


class Output(Enum):
    """What the terminal shows: progress and table, one JSON document last, or nothing."""

    table = "table"
    json = "json"
    quiet = "quiet"


class Proposal(Enum):
    """Draft tokens are the drafter's best (`greedy`) or drawn from its distribution."""

    greedy = "greedy"
    sample = "sample"


class AdaptiveRule(Enum):
    """How `decoding=adaptive` picks the draft length of a round."""

    ema = "ema"
    confidence = "confidence"
    throughput = "throughput"


AUTO = "auto"


def at_least(name: str, value: float, low: float) -> None:
    """Raise `UserError` unless `value >= low`."""
    if not value >= low:
        raise UserError(f"{name}={value} must be at least {low}.")


def plain(config: Any) -> dict[str, Any]:
    """A dataclass config as plain JSON types (enums by value)."""
    from dataclasses import asdict

    def clean(value: Any) -> Any:
        if isinstance(value, Enum):
            return value.value
        if isinstance(value, dict):
            return {key: clean(item) for key, item in value.items()}
        if isinstance(value, list):
            return [clean(item) for item in value]
        return value

    return {key: clean(value) for key, value in asdict(config).items()}
