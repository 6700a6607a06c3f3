"""Temperature, top-k and top-p: the distribution that a target's logits mean."""

from __future__ import annotations

import zlib
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor


@dataclass(frozen=True)
class Sampling:
    """How a token is chosen from logits; `temperature` 0 is greedy."""

    temperature: float = 0.0
    top_p: float = 1.0
    top_k: int = 0
    seed: int = 0

    @property
    def greedy(self) -> bool:
        return self.temperature == 0.0

    def distribution(self, logits: Tensor) -> Tensor:
        """Probabilities `[..., vocab]`, float64, after temperature, then top-k, then top-p."""
        scaled = logits.double() / self.temperature
        if 0 < self.top_k < scaled.shape[-1]:
            kth = scaled.topk(self.top_k, dim=-1).values[..., -1:]
            scaled = scaled.masked_fill(scaled < kth, -torch.inf)
        if self.top_p < 1.0:
            ordered, order = scaled.sort(dim=-1, descending=True)
            before = ordered.softmax(-1).cumsum(-1).roll(1, -1)
            before[..., 0] = 0.0
            dropped = (before >= self.top_p).scatter(-1, order, before >= self.top_p)
            scaled = scaled.masked_fill(dropped, -torch.inf)
        return scaled.softmax(-1)

    def stream(self, key: str) -> np.random.Generator:
        """The random numbers of one generation: of `seed` and `key`, not of the batch."""
        return np.random.default_rng([self.seed, zlib.crc32(key.encode())])


def draw(probabilities: Tensor, stream: np.random.Generator) -> int:
    """One index of `[vocab]` probabilities, by inverting the cumulative sum."""
    cumulative = probabilities.cumsum(-1)
    point = stream.random() * float(cumulative[-1])
    index = int(torch.searchsorted(cumulative, point, right=True))
    return min(index, int(probabilities.nonzero()[-1]))
