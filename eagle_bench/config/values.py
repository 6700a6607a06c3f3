"""Kinds of values that settings share, and how they are checked and written down."""

from __future__ import annotations

import re
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


def dtype_name(dtype: object) -> str:
    """`float32` of `torch.float32`."""
    return str(dtype).removeprefix("torch.")


class Attention(Enum):
    """Attention implementation of a transformers target or an EAGLE head."""

    sdpa = "sdpa"
    eager = "eager"
    flex_attention = "flex_attention"
    flex_attention_mla = "flex_attention_mla"


class ReadAs(Enum):
    """`auto`: an EAGLE head is read as its pre-flight finds it trained, where its folder allows."""

    auto = "auto"
    as_configured = "as_configured"


class HeadKind(Enum):
    """How a head drafts: the `drafter` that runs it, and the name that people know it under."""

    eagle3 = "EAGLE"
    p_eagle = "P-EAGLE"
    dflash = "DFlash"


class Implementation(Enum):
    """`auto` takes the lean forward where it fits and transformers' own elsewhere."""

    auto = "auto"
    lean = "lean"
    transformers = "transformers"


class Packing(Enum):
    """`auto`: on a CPU the lean forward holds its weights packed too, where that is faster."""

    auto = "auto"
    off = "off"


class Compile(Enum):
    """`draft`: an EAGLE head's levels are compiled for this CPU, once (seconds), and kept."""

    off = "off"
    draft = "draft"


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
MOST_SEED = 2**63 - 1
"""What every library's generator takes."""
LEAST_RESAMPLES, MOST_RESAMPLES = 100, 100_000
_NAME = re.compile(r"[^\W_][\w .+@=-]{0,59}")
_DEVICE = re.compile(r"auto|cpu|mps|(cuda|xpu)(:\d+)?")


def at_least(name: str, value: float, low: float) -> None:
    """Raise `UserError` unless `value >= low`."""
    if not value >= low:
        raise UserError(f"{name}={value} must be at least {low}.")


def within(name: str, value: float, interval: str) -> None:
    """Raise `UserError` unless `value` lies in `interval`, as in `(0, 1]`."""
    low, high = map(float, interval[1:-1].split(","))
    above = value > low if interval[0] == "(" else value >= low
    below = value < high if interval[-1] == ")" else value <= high
    if not (above and below):
        raise UserError(f"{name}={value} must lie in {interval}.")


def check_resamples(name: str, resamples: int) -> None:
    """Raise `UserError` unless an interval of so many resamples is steady and fits into memory."""
    within(name, resamples, f"[{LEAST_RESAMPLES}, {MOST_RESAMPLES}]")


def check_place(seed: int, device: str, threads: int | None) -> None:
    """Raise `UserError` unless every generator takes `seed`, and for what is no device's name.

    Whether the device is there shows on loading.
    """
    if not 0 <= seed <= MOST_SEED:
        raise UserError(f"seed={seed} must lie in [0, {MOST_SEED}].")
    if threads is not None:
        at_least("threads", threads, 1)
    if _DEVICE.fullmatch(device) is None:
        raise UserError(f"device={device} is not usable here; use auto, cpu, cuda or cuda:N.")


def check_name(name: str | None) -> None:
    """Raise `UserError` unless `name` can lead a folder's name; None is no name."""
    if name is not None and _NAME.fullmatch(name) is None:
        raise UserError(
            f"name={name} must begin with a letter or digit and go on with at most 59 letters, "
            "digits, spaces or _.+@=-, as it leads the folder's name."
        )


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
