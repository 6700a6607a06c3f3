"""How far a head sees and how it counts positions: sliding window and RoPE, from its config."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from eagle_bench.drafters.heads.reading import Choice, RopeConfig
from eagle_bench.errors import UserError

FULL, SLIDING = "full_attention", "sliding_attention"
ROPE_BASES = (1e4, 1e5, 1.5e5, 5e5, 1e6, 5e6, 1e7)
"""Those of the released Llama, Qwen, Mistral and gpt-oss families and of their heads."""


def read_window(sizes: Mapping[str, Any], num_layers: int) -> Choice:
    """How many tokens each of the head's `num_layers` layers sees; None is all of them.

    `layer_types` decides where it stands. Else `sliding_window` holds unless
    `use_sliding_window` is false or the layers are below `max_window_layers` (Qwen).

    Raises
    ------
    UserError
        The layers differ, or see in a way that is neither full nor a window.
    """
    width, kinds = sizes.get("sliding_window"), sizes.get("layer_types")
    if not kinds:
        if width is None:
            return Choice(None, "no sliding_window in config.json")
        if not sizes.get("use_sliding_window", True):
            return Choice(None, "use_sliding_window=false in config.json", others=(width,))
        below = sizes.get("max_window_layers") or 0
        kinds = [FULL if layer < below else SLIDING for layer in range(num_layers)]
        why = f"sliding_window of config.json, max_window_layers={below}"
    else:
        why = f"layer_types of config.json: {kinds[0]}"
    seen = set(kinds[:num_layers])
    if seen == {FULL}:
        return Choice(None, why, others=() if width is None else (width,))
    if seen != {SLIDING} or width is None:
        raise UserError(
            f"config.json of the head says layer_types={kinds[:num_layers]} and sliding_window="
            f"{width}; only layers that are all {FULL}, or all {SLIDING} within one window, can "
            "be run."
        )
    doubt = (
        f"layer_types names {len(kinds)} layers and the head has {num_layers}: its first "
        f"layers' window of {width} tokens is taken."
    )
    return Choice(width, why, (doubt,) if len(kinds) != num_layers else (), (None,))


def read_rope(sizes: Mapping[str, Any], window: int | None, told: float | None) -> Choice:
    """The head's own RoPE, of which `told` replaces the base.

    transformers 5 puts base and scaling into `rope_parameters`, where kinds of layers differ
    one such table for each of them; Gemma 3 had `rope_local_base_freq` for the sliding ones.

    Raises
    ------
    UserError
        `rope_parameters` has no table for the head's layers.
    """
    kind = FULL if window is None else SLIDING
    given = sizes.get("rope_parameters") or sizes.get("rope_scaling") or {}
    if any(isinstance(value, Mapping) for value in given.values()):
        if kind not in given:
            raise UserError(
                f"rope_parameters in config.json of the head is for {', '.join(given)}, but its "
                f"layers are {kind}."
            )
        given = given[kind]
    scaling = {key: value for key, value in given.items() if value is not None}
    local = sizes.get("rope_local_base_freq") if kind == SLIDING else None
    said = scaling.pop("rope_theta", None) or local or sizes.get("rope_theta")
    partial = scaling.pop("partial_rotary_factor", None) or sizes.get("partial_rotary_factor")
    scaled = scaling.get("rope_type", scaling.get("type", "default")) != "default"
    rope = RopeConfig(
        theta=float(told or said or 10000.0),
        scaling=scaling if scaled else None,
        partial=float(partial or 1.0),
    )
    if told is not None:
        return Choice(rope, "drafter.rope_theta")
    if said is not None:
        return Choice(rope, "config.json")
    others = tuple(replace(rope, theta=theta) for theta in ROPE_BASES if theta != rope.theta)
    return Choice(rope, "unsaid in config.json: 10000", others=others)
