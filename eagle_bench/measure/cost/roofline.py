"""The least time that a target step can take: what it must read and compute, at device speed."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Protocol, cast

import torch
from torch import Tensor

from eagle_bench.measure.cost.device_speed import DeviceSpeed, device_name, device_speed
from eagle_bench.models.target import Target

SHOWN = (1, 2, 5, 9, 17, 33, 64)
EXPERTS = ("num_experts", "num_local_experts", "n_routed_experts")


class Loaded(Target, Protocol):
    """A target as it is loaded: over a transformers model."""

    model: Any


@dataclass(frozen=True)
class StepWork:
    """What the target's weights and cache ask of a step.

    Attributes
    ----------
    dense_bytes, dense_parameters : int
        Of the weights that every token passes. An embedding table of its own is not one of
        them: a step reads only its tokens' rows. One that is also the output projection is.
    expert_bytes, expert_parameters : int
        Of all routed experts together; 0 without any.
    expert_share : float
        Experts that one token passes, of those in a layer.
    cache_bytes : int
        Keys and values of one token of context.
    """

    dense_bytes: int
    dense_parameters: int
    expert_bytes: int
    expert_parameters: int
    expert_share: float
    cache_bytes: int

    def read_bytes(self, tokens: int, context_len: float) -> float:
        """Weights and cache that a step of `tokens` reads; experts as evenly routed tokens do."""
        touched = 1 - (1 - self.expert_share) ** tokens
        return self.dense_bytes + touched * self.expert_bytes + context_len * self.cache_bytes

    def flop(self, tokens: int) -> float:
        """A multiplication and an addition for each weight that a token passes."""
        passed = self.dense_parameters + self.expert_share * self.expert_parameters
        return 2 * passed * tokens


def step_work(target: Target) -> StepWork:
    """Count a loaded target's weights, and its cache by running one token."""
    model = cast(Loaded, target).model
    config = model.config.get_text_config()
    embedding, head = model.get_input_embeddings().weight, model.get_output_embeddings().weight
    dense: list[Tensor] = []
    experts: list[Tensor] = []
    for name, weight in model.named_parameters():
        if weight is not embedding or weight is head:
            (experts if ".experts." in name else dense).append(weight)
    routed = next((getattr(config, key) for key in EXPERTS if getattr(config, key, None)), 1)
    cache = target.state(1, 1)
    token = torch.zeros(1, 1, dtype=torch.int64, device=target.spec.device)
    target.forward(token, token, None, cache, features=False)
    return StepWork(
        dense_bytes=sum(weight.nbytes for weight in dense),
        dense_parameters=sum(weight.numel() for weight in dense),
        expert_bytes=sum(weight.nbytes for weight in experts),
        expert_parameters=sum(weight.numel() for weight in experts),
        expert_share=getattr(config, "num_experts_per_tok", 1) / routed if experts else 0.0,
        cache_bytes=cache.nbytes,
    )


@dataclass(frozen=True)
class Roofline:
    """Floors of the target's steps on this device, for one sequence."""

    device: str
    speed: DeviceSpeed
    work: StepWork

    def verify_s(self, tokens: int, context_len: float) -> float:
        """Floor of a step that verifies `tokens` behind `context_len` tokens.

        Reading and computing can overlap, so it is the longer of the two.
        """
        read_s = self.work.read_bytes(tokens, context_len) / self.speed.bytes_s
        return max(read_s, self.work.flop(tokens) / self.speed.flop_s)

    def step_s(self, context_len: float) -> float:
        """Floor of t_1."""
        return self.verify_s(1, context_len)


def roofline(target: Target, device: torch.device | None = None) -> Roofline:
    """The floors of `target` on `device`; None: where it is loaded."""
    work, spec = step_work(target), target.spec
    place = device or spec.device
    speed = device_speed(place, spec.dtype, int(work.read_bytes(1, 0)))
    return Roofline(device_name(place), speed, work)


def card(roof: Roofline, context_len: float) -> list[str]:
    """What to expect, in three lines for the terminal, before anything is measured."""
    step_s = roof.step_s(context_len)
    floors = ", ".join(f"{1e3 * roof.verify_s(n, context_len):.2f} ({n})" for n in SHOWN)
    return [
        f"roofline: {roof.device} reads {_short(roof.speed.bytes_s)}B/s and computes "
        f"{_short(roof.speed.flop_s)}FLOP/s",
        f"a target step must read {_short(roof.work.read_bytes(1, 0))}B of weights and "
        f"{_short(roof.work.cache_bytes * context_len)}B of cache ({context_len:.0f} tokens): at "
        f"least {1e3 * step_s:.2f} ms, so at most {1 / step_s:.0f} tokens/s without drafting",
        f"verifying n tokens takes at least, in ms (n): {floors}",
    ]


def _short(value: float) -> str:
    """Three digits and a prefix: 1.71e10 is "17.1 G"."""
    thousands = int(math.log10(max(value, 1.0)) // 3)
    return f"{value / 1000**thousands:.3g} {('', 'k', 'M', 'G', 'T', 'P')[thousands]}"
