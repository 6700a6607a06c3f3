"""The plausible ways to read one EAGLE head: where the field's formats and tools differ.

What folder and settings leave open (`HeadReading.others`) a run may take. What they state in one
way only, or the user set, is tried as well, so that a person can be told that it is wrong.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from eagle_bench.drafters.heads.config import HeadConfig
from eagle_bench.drafters.heads.reading import HeadReading
from eagle_bench.drafters.heads.spans import ROPE_BASES
from eagle_bench.models.target import default_aux_layers

FOUND = "found by the pre-flight"


@dataclass(frozen=True)
class Reading:
    """One way to read a head.

    Attributes
    ----------
    name, fix : str
        What differs, in words, and the setting that makes it so.
    allowed : bool
        Nothing that the folder or the user states speaks against it.
    config : HeadConfig
        The head under it, its aux layers named.
    """

    name: str
    fix: str
    allowed: bool
    config: HeadConfig

    @property
    def aux(self) -> tuple[int, ...]:
        """Boundaries of the target that the head reads."""
        assert self.config.reading.aux_layers is not None
        return self.config.reading.aux_layers


def as_read(config: HeadConfig, num_layers: int) -> Reading:
    """The detected settings of a head beside a target with `num_layers` layers."""
    named = replace(config.reading, aux_layers=config.features_of(num_layers))
    return Reading("the detected settings", "", True, replace(config, reading=named))


def readings(here: Reading, num_layers: int) -> list[Reading]:
    """Every reading that differs from `here` in one point and needs the same tensors."""
    reading = here.config.reading
    allowed = [(name, value) for name, values in reading.others.items() for value in values]
    told = [each for each in _stated_otherwise(here, num_layers) if each not in allowed]
    return [
        _but(here, name, value, (name, value) in allowed, num_layers)
        for name, value in (*allowed, *told)
        if value != getattr(reading, name)
    ]


def _but(here: Reading, choice: str, value: Any, allowed: bool, num_layers: int) -> Reading:
    reading = here.config.reading
    reasons = {**reading.reasons, choice: FOUND}
    other = replace(reading, **{choice: value}, reasons=reasons)
    name, fix = _in_words(choice, value, reading, num_layers)
    return Reading(name, fix, allowed, replace(here.config, reading=other))


def _stated_otherwise(here: Reading, num_layers: int) -> Iterator[tuple[str, Any]]:
    """What is often stated wrongly, as choices of a `HeadReading`."""
    reading = here.config.reading
    if here.config.generation == 3:
        layers = [tuple(each + by for each in here.aux) for by in (-1, 1)]
        for aux in dict.fromkeys((*layers, default_aux_layers(num_layers))):
            if min(aux) >= 0 and max(aux) < num_layers:
                yield "aux_layers", aux
        yield "norm_before_residual", not reading.norm_before_residual
        yield "norm_output", not reading.norm_output
    if reading.rope.scaling:
        yield "rope", replace(reading.rope, scaling=None)
    for theta in ROPE_BASES:
        yield "rope", replace(reading.rope, theta=theta)
    yield "mapped", False


def _in_words(choice: str, value: Any, here: HeadReading, num_layers: int) -> tuple[str, str]:
    """A choice in words, and the setting that makes it."""
    match choice:
        case "aux_layers" if value == (num_layers,):
            return "the last state before the final norm", "drafter.reading=auto"
        case "aux_layers" if num_layers + 1 in value:
            return "the last state behind the final norm", "drafter.reading=auto"
        case "aux_layers":
            setting = f"drafter.aux_layers=[{','.join(map(str, value))}]"
            return f"aux layers {list(value)}", setting
        case "own_embeddings":
            return "the target's embeddings", "drafter.embedding_key=target"
        case "window":
            name = "no sliding window" if value is None else f"a sliding window of {value}"
            return name, "use_sliding_window in the head's config.json"
        case "rope" if value.theta == here.rope.theta:
            return "no RoPE scaling", "rope_scaling to null in the head's config.json"
        case "rope":
            return f"RoPE base {value.theta:.0f}", f"drafter.rope_theta={value.theta:.0f}"
        case "mapped":
            fix = "the head's ids are the target's: remove d2t and t2d from the checkpoint"
            return "no vocabulary map", fix
    return f"{choice}={str(value).lower()}", f"drafter.{choice}={str(value).lower()}"
