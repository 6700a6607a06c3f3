"""Rotary position embedding, with every scaling that transformers knows."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from transformers import LlamaConfig
from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS

from eagle_bench.drafters.heads.config import HeadConfig
from eagle_bench.errors import UserError

UNSCALED = ("default", "mrope")
LENGTH_DEPENDENT = ("dynamic", "longrope")

Angles = Callable[[Tensor, torch.dtype], tuple[Tensor, Tensor]]
"""Cosines and sines `[batch, 1, tokens, turned / 2]` of positions `[batch, tokens]`."""


class Rope:
    """Cosines and sines of positions.

    A plain object and not a module: its float32 frequencies must survive `head.to(bfloat16)`.
    """

    def __init__(self, config: HeadConfig) -> None:
        scaling = dict(config.reading.rope.scaling or {})
        self.kind = str(scaling.pop("rope_type", None) or scaling.pop("type", "default"))
        scaling.pop("type", None)
        if self.kind not in (*UNSCALED, *ROPE_INIT_FUNCTIONS):
            known = ", ".join(("default", *ROPE_INIT_FUNCTIONS))
            raise UserError(
                f"The head's rope_scaling has the unknown rope_type {self.kind!r}; known: {known}."
            )
        rope = config.reading.rope
        self._theta = rope.theta
        self._head_dim, partial = config.head_dim, rope.partial
        if config.deepseek is not None:
            self._head_dim, partial = config.deepseek.turned, 1.0
        self._turned = int(self._head_dim * partial)
        self._max_positions = config.max_positions
        self._parameters = {"rope_theta": self._theta, "rope_type": self.kind, **scaling}
        self._parameters["partial_rotary_factor"] = partial
        self._inv_freq, self.magnitude = self._frequencies(config.max_positions)

    def __call__(self, positions: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        """Cosines and sines of `positions` `[batch, tokens]`: `[batch, 1, tokens, turned / 2]`."""
        if self.kind in LENGTH_DEPENDENT:
            inv_freq, magnitude = self._frequencies(int(positions.max()) + 1)
            inv_freq = inv_freq.to(positions.device)
        else:
            self._inv_freq = self._inv_freq.to(positions.device)
            inv_freq, magnitude = self._inv_freq, self.magnitude
        return _turns(positions, inv_freq, magnitude, dtype)

    def as_module(self) -> FixedRope:
        """The same, its frequencies a buffer, for a head that stays on its device.

        Raises
        ------
        UserError
            The frequencies depend on the length of the text.
        """
        if self.kind in LENGTH_DEPENDENT:
            raise UserError(
                f"compile=draft: the head's {self.kind} RoPE depends on the length of the text; "
                "use compile=off."
            )
        return FixedRope(self._inv_freq, self.magnitude)

    def _frequencies(self, length: int) -> tuple[Tensor, float]:
        if self.kind in UNSCALED:
            exponents = torch.arange(0, self._turned, 2, dtype=torch.float32) / self._turned
            return self._theta**-exponents, 1.0
        try:
            config = LlamaConfig(
                head_dim=self._head_dim,
                max_position_embeddings=self._max_positions,
                rope_parameters=self._parameters,
            )
            inv_freq, magnitude = ROPE_INIT_FUNCTIONS[self.kind](
                config, torch.device("cpu"), seq_len=length
            )
        except (KeyError, TypeError, ValueError, ArithmeticError, RuntimeError) as error:
            raise UserError(
                f"The head's rope_scaling of type {self.kind} cannot be computed: {error}."
            ) from error
        return inv_freq, float(magnitude)


class FixedRope(nn.Module):
    """Cosines and sines of positions, from frequencies that stay."""

    def __init__(self, inv_freq: Tensor, magnitude: float) -> None:
        super().__init__()
        self.inv_freq = nn.Buffer(inv_freq)
        self.magnitude = magnitude

    def forward(self, positions: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        return _turns(positions, self.inv_freq, self.magnitude, dtype)


def _turns(
    positions: Tensor, inv_freq: Tensor, magnitude: float, dtype: torch.dtype
) -> tuple[Tensor, Tensor]:
    angles = positions[:, None, :, None] * inv_freq
    cos, sin = angles.cos(), angles.sin()
    if magnitude != 1.0:
        cos, sin = cos * magnitude, sin * magnitude
    return cos.to(dtype), sin.to(dtype)


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotate the first `turned` dimensions of `x` `[batch, heads, tokens, head_dim]`.

    Dimension i pairs with i + turned / 2.
    """
    half = cos.shape[-1]
    first, second, rest = x.tensor_split((half, 2 * half), dim=-1)
    return torch.cat((first * cos - second * sin, second * cos + first * sin, rest), dim=-1)
