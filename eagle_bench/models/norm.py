"""Root-mean-square normalisation, in fewer operations than torch's own takes on a CPU."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F


class Norm:
    """`x / sqrt(mean(x**2) + eps) * weight` over the last dimension, for weights that stay.

    In float32 on a CPU torch composes it of many small operations. The length of x says the same:
    `sqrt(sum(x**2) + width * eps)` is `hypot(|x|, sqrt(width * eps))`.

    Parameters
    ----------
    weight : Tensor
        `[width]`.
    """

    def __init__(self, weight: Tensor, eps: float) -> None:
        self.weight, self.eps = weight, eps
        width = weight.shape[0]
        self._by_length = weight.is_cpu and weight.dtype is torch.float32
        self._scaled = weight * math.sqrt(width)
        self._floor = torch.tensor(math.sqrt(width * eps), device=weight.device)

    def __call__(self, x: Tensor) -> Tensor:
        """`x` `[..., width]`, normalised."""
        if not self._by_length:
            return F.rms_norm(x, self.weight.shape, self.weight, self.eps)
        length = torch.linalg.vector_norm(x, 2, -1, True)
        return x / torch.hypot(length, self._floor) * self._scaled
