"""The shape that a `result.json` must have before its figures are read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

REST = "*"
"""Stands for every key that is not named."""
NOTHING = type(None)
REAL = (float, int)
NUMBER = (*REAL, NOTHING)
INTERVAL = ([REAL, REAL], NOTHING)
TEXT = (str, NOTHING)
BIN = {"first": int, "last": int, "tau": REAL}
SPEEDUP = {
    **dict.fromkeys(("pooled", "low", "high", "ratio_of_means", "geomean"), NUMBER),
    **dict.fromkeys(("relative_half_width", "minimum_detectable", "prompts_needed"), NUMBER),
    "intervals": ({REST: INTERVAL}, NOTHING),
}
ARM = {
    **dict.fromkeys(("calls_per_token", "throughput_tok_s", "wall_s", "generations"), NUMBER),
    **dict.fromkeys(("acceptance_rate", "tau", "tau_emitted"), NUMBER),
    **dict.fromkeys(("tau_sglang", "tau_macro"), NUMBER),
    **dict.fromkeys(("new_tokens", "mean_new_tokens", "target_calls", "peak_bytes"), NUMBER),
    **dict.fromkeys(("energy_j_per_token", "eos_share", "drift"), NUMBER),
    **dict.fromkeys(("per_position", "per_position_conditional"), ([NUMBER], NOTHING)),
    "accept_histogram": ([int], NOTHING),
    **dict.fromkeys(("acceptance_by_position", "acceptance_by_context"), ([BIN], NOTHING)),
    "intervals": ({REST: (*INTERVAL, [INTERVAL])}, NOTHING),
}
CATEGORY = {
    **dict.fromkeys(("calls_per_token", "throughput_tok_s", "baseline_tok_s"), NUMBER),
    **dict.fromkeys(("acceptance_rate", "tau", "prompts", "new_tokens", "eos_share"), NUMBER),
    "speedup": (SPEEDUP, NOTHING),
}
PHASES = {"new_tokens": REAL, "remainder_s": REAL, "phases_s": {REST: REAL}}
SUMMARY = {
    "arms": {REST: ARM},
    **dict.fromkeys(("gen_len", "prompts"), REAL),
    "confidence": NUMBER,
    "speedup": (SPEEDUP | {"decode": (SPEEDUP, NOTHING)}, NOTHING),
    "lossless": ({"exact_share": NUMBER, "pairs": NUMBER, "interval": INTERVAL}, NOTHING),
    "categories": ({REST: CATEGORY}, NOTHING),
    "phases": ({REST: PHASES}, NOTHING),
    "guards": ([{"name": str, "detail": str}], NOTHING),
}
CONFIG = {
    "model": ({"path": TEXT, "revision": TEXT}, NOTHING),
    "gen_len": (int, NOTHING),
    **dict.fromkeys(("seed", "temperature"), NUMBER),
}
RESULT: dict[str, Any] = {"config": CONFIG, "provenance": {}}
SHAPES = {"complete": RESULT | {"summary": SUMMARY}, "failed": RESULT | {"reason": str}}
"""By status."""


def misfit(value: Any, kind: Any, place: str) -> str | None:
    """What in `value` is not of its kind, in words; None when all is.

    Parameters
    ----------
    value : plain data
    kind : type | tuple | list | dict
        A type; a tuple of kinds, one of which it must be; a list of one kind, or of the kinds of
        its items; or kinds by key, where a key that is missing counts as null.
    place : str
        Where `value` stands, dotted.
    """
    parts: Iterable[tuple[Any, Any, Any]]
    match kind:
        case tuple():
            found = [misfit(value, each, place) for each in kind]
            return None if None in found else found[0]
        case list():
            if not isinstance(value, list) or len(kind) not in (1, len(value)):
                return f"{place} is no list of {len(kind) if len(kind) > 1 else 'values'}"
            kinds = kind * (len(value) if len(kind) == 1 else 1)
            parts = zip(range(len(value)), value, kinds, strict=True)
        case dict():
            if not isinstance(value, Mapping):
                return f"{place} is no mapping"
            parts = _by_key(value, kind)
        case _:
            return None if isinstance(value, kind) else f"{place} is no {kind.__name__}"
    faults = (misfit(item, each, f"{place}.{key}") for key, item, each in parts)
    return next(filter(None, faults), None)


def _by_key(value: Mapping[str, Any], kinds: Mapping[str, Any]) -> Iterable[tuple[str, Any, Any]]:
    """Key, item and kind of everything that has a kind."""
    for key, kind in kinds.items():
        if key != REST:
            yield key, value.get(key), kind
        else:
            yield from ((each, item, kind) for each, item in value.items() if each not in kinds)
