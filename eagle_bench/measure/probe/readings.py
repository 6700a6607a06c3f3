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
    config : HeadConfig
        The head under it, its aux layers named.
    """

    name: str
    fix: str
    config: HeadConfig

    @property
    def aux(self) -> tuple[int, ...]:
        """Boundaries of the target that the head reads."""
        assert self.config.reading.aux_layers is not None
        return self.config.reading.aux_layers

    def but(self, name: str, fix: str, **choices: Any) -> Reading:
        """The reading with other `choices`."""
        reading = replace(self.config.reading, **choices)
        return Reading(name, fix, replace(self.config, reading=reading))


def as_read(config: HeadConfig, num_layers: int) -> Reading:
    """The detected settings of a head beside a target with `num_layers` layers."""
    named = replace(config.reading, aux_layers=config.features_of(num_layers))
    return Reading("the detected settings", "", replace(config, reading=named))


def readings(here: Reading, num_layers: int) -> list[Reading]:
    """Every reading that differs from `here` in one point and needs the same tensors."""
    found = [*_other_layers(here, num_layers), *_other_rope(here), *_other_norms(here)]
    if here.config.reading.mapped:
        fix = "the head's ids are the target's: remove d2t and t2d from the checkpoint"
        found.append(here.but("no vocabulary map", fix, mapped=False))
    return found


def _other_layers(here: Reading, num_layers: int) -> list[Reading]:
    if here.config.generation != 3:
        return []
    layers = [tuple(each + by for each in here.aux) for by in (-1, 1)]
    layers.append(default_aux_layers(num_layers))
    return [
        here.but(
            f"aux layers {list(aux)}",
            f"drafter.aux_layers=[{','.join(map(str, aux))}]",
            aux_layers=aux,
        )
        for aux in dict.fromkeys(layers)
        if aux != here.aux and min(aux) >= 0 and max(aux) < num_layers
    ]


def _other_rope(here: Reading) -> list[Reading]:
    rope = here.config.reading.rope
    fix = "rope_scaling to null in the head's config.json"
    without = [here.but("no RoPE scaling", fix, rope=replace(rope, scaling=None))]
    return (without if rope.scaling else []) + [
        here.but(
            f"RoPE base {theta:.0f}",
            f"drafter.rope_theta={theta:.0f}",
            rope=replace(rope, theta=theta),
        )
        for theta in ROPE_BASES
        if theta != rope.theta
    ]


def _other_norms(here: Reading) -> list[Reading]:
    if here.config.generation != 3:
        return []
    found = []
    for flag in ("norm_before_residual", "norm_output"):
        value = not getattr(here.config.reading, flag)
        setting = f"{flag}={str(value).lower()}"
        found.append(here.but(setting, f"drafter.{setting}", **{flag: value}))
    return found
