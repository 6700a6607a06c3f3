"""The plausible ways to read one EAGLE head: where the field's formats and tools differ."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from eagle_bench.drafters.heads.config import HeadConfig
from eagle_bench.models.target import default_aux_layers

ROPE_BASES = (1e4, 1e5, 1.5e5, 5e5, 1e6, 5e6, 1e7)
"""Those of the released Llama, Qwen, Mistral and gpt-oss families and of their heads."""


@dataclass(frozen=True)
class Reading:
    """One way to read a head.

    Attributes
    ----------
    name, fix : str
        What differs, in words, and the setting that makes it so.
    aux : tuple of int
        Layers of the target whose input the head reads.
    mapped : bool
        Whether draft ids go through the head's vocabulary map.
    """

    name: str
    fix: str
    config: HeadConfig
    aux: tuple[int, ...]
    mapped: bool


def readings(here: Reading, num_layers: int) -> list[Reading]:
    """Every reading that differs from `here` in one point and needs the same tensors."""
    found = [*_other_layers(here, num_layers), *_other_rope(here), *_other_norms(here)]
    if here.mapped:
        fix = "the head's ids are the target's: remove d2t and t2d from the checkpoint"
        found.append(replace(here, name="no vocabulary map", fix=fix, mapped=False))
    return found


def _other_layers(here: Reading, num_layers: int) -> list[Reading]:
    if here.config.generation != 3:
        return []
    layers = [tuple(each + by for each in here.aux) for by in (-1, 1)]
    layers.append(default_aux_layers(num_layers))
    return [
        replace(
            here,
            name=f"aux layers {list(aux)}",
            fix=f"drafter.aux_layers=[{','.join(map(str, aux))}]",
            aux=aux,
        )
        for aux in dict.fromkeys(layers)
        if aux != here.aux and min(aux) >= 0 and max(aux) < num_layers
    ]


def _other_rope(here: Reading) -> list[Reading]:
    rope = here.config.rope
    unscaled = replace(here.config, rope=replace(rope, scaling=None))
    fix = "rope_scaling to null in the head's config.json"
    without = [replace(here, name="no RoPE scaling", fix=fix, config=unscaled)]
    return (without if rope.scaling else []) + [
        replace(
            here,
            name=f"RoPE base {theta:.0f}",
            fix=f"drafter.rope_theta={theta:.0f}",
            config=replace(here.config, rope=replace(rope, theta=theta)),
        )
        for theta in ROPE_BASES
        if theta != rope.theta
    ]


def _other_norms(here: Reading) -> list[Reading]:
    if here.config.generation != 3:
        return []
    found = []
    for flag in ("norm_before_residual", "norm_output"):
        value = not getattr(here.config, flag)
        setting = f"{flag}={str(value).lower()}"
        flipped: dict[str, Any] = {flag: value}
        config = replace(here.config, **flipped)
        found.append(replace(here, name=setting, fix=f"drafter.{setting}", config=config))
    return found
