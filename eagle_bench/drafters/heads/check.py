"""Refusals: a folder that is no head, a broken one, and one made for another target."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Protocol

from torch import Tensor

from eagle_bench.drafters.heads.config import HeadConfig
from eagle_bench.errors import UserError
from eagle_bench.models.target import EAGLE3_LAYERS

UNUSED = ("embed_tokens.weight", "lm_head.weight")
"""What a head may hold and not need: the target's can stand in its place."""

SHOWN = 3


class TargetShape(Protocol):
    """What a head must know of its target; `eagle_bench.models.target.TargetSpec` is one."""

    @property
    def hidden_size(self) -> int: ...

    @property
    def vocab_size(self) -> int: ...

    @property
    def num_layers(self) -> int: ...


def check_is_head(folder: Path, names: Iterable[str]) -> None:
    """Refuse what has no `fc` over a decoder layer: full models, adapters, anything else."""
    names = set(names)
    if any("lora_" in name for name in names):
        raise UserError(f"{folder} holds a LoRA adapter, not an EAGLE head.")
    latent = any(".kv_a_proj_with_mqa." in name for name in names)
    told_by = "kv_b_proj" if latent else "q_proj"
    wanted = ("fc.weight", f"layers.0.self_attn.{told_by}.weight", "layers.0.mlp.gate_proj.weight")
    lacking = [name for name in wanted if name not in names]
    if not lacking:
        return
    if "fc.weight" not in names and "layers.1.self_attn.q_proj.weight" in names:
        raise UserError(f"{folder} holds a full language model, not an EAGLE head.")
    nearest = {
        name: difflib.get_close_matches(name, sorted(names), n=1, cutoff=0.3) for name in lacking
    }
    listed = "; ".join(
        f"{name} (nearest: {near[0] if near else 'none'})" for name, near in nearest.items()
    )
    raise UserError(f"The keys in {folder} match no EAGLE head format; missing {listed}.")


def check_tensors(
    folder: Path, weights: Mapping[str, Tensor], expected: Mapping[str, Tensor]
) -> None:
    """Refuse missing, misshapen, quantised, non-finite and all-zero tensors, and those that would
    change the head if they were read.
    """
    if lacking := sorted(set(expected) - set(weights)):
        near = difflib.get_close_matches(lacking[0], sorted(set(weights) - set(expected)), n=1)
        hint = f" (nearest: {near[0]})" if near else ""
        raise UserError(f"{folder} lacks the weights {', '.join(lacking)}{hint}.")
    for name, like in expected.items():
        tensor = weights[name]
        if tensor.shape != like.shape:
            raise UserError(
                f"{name} in {folder} has shape {list(tensor.shape)}, but its config.json makes "
                f"it {list(like.shape)}."
            )
        if not tensor.is_floating_point() or tensor.dtype.itemsize < 2:
            raise UserError(
                f"{name} in {folder} is stored as {str(tensor.dtype).removeprefix('torch.')}; "
                "quantised heads cannot be run."
            )
        if not bool(tensor.isfinite().all()):
            raise UserError(f"{name} in {folder} holds NaN or infinite values.")
        if not name.endswith(".bias") and not bool(tensor.any()):
            raise UserError(f"{name} in {folder} is all zeros: the head was never trained.")
    homes = tuple({f"{name.partition('.')[0]}." for name in (*expected, *UNUSED)})
    if extra := sorted(
        name for name in set(weights) - {*expected, *UNUSED} if name.startswith(homes)
    ):
        shown = ", ".join(extra[:SHOWN]) + (" and more" if len(extra) > SHOWN else "")
        raise UserError(
            f"{folder} holds {shown}, which the heads that are run here do not have: without it "
            "another head than the trained one would be measured."
        )


def check_fits(config: HeadConfig, target: TargetShape) -> None:
    """Refuse a head for another target: width, layers."""
    if config.target_hidden_size != target.hidden_size:
        raise UserError(
            f"The head was made for a target of width {config.target_hidden_size}, but this one "
            f"has width {target.hidden_size}."
        )
    if config.generation != 3:
        return
    unnamed = config.reading.aux_layers is None
    if unnamed and config.num_features != 3:
        raise UserError(
            f"The head reads {config.num_features} hidden states of the target, but nothing says "
            "which; give them as drafter.aux_layers."
        )
    if unnamed and target.num_layers < EAGLE3_LAYERS:
        raise UserError(
            f"The target has {target.num_layers} layers, but EAGLE-3 needs at least "
            f"{EAGLE3_LAYERS} for its three hidden states; or give drafter.aux_layers."
        )
    layers = config.features_of(target.num_layers)
    if len(layers) != config.num_features:
        raise UserError(
            f"The head reads {config.num_features} hidden states, but {len(layers)} aux layers "
            f"are named: {list(layers)}."
        )
    if min(layers) < 0 or max(layers) > target.num_layers:
        raise UserError(
            f"The head reads the inputs of layers {list(layers)}, but the target has only "
            f"{target.num_layers} layers."
        )
