"""Uniformly random draft tokens: the floor of speculation, and a test of losslessness."""

from __future__ import annotations

import torch
from torch import Tensor

from eagle_bench.drafters.drafter import Proposals
from eagle_bench.drafters.pick import Pick


class RandomDrafter:
    """Draws fresh logits for every node."""

    name = "random"
    needs_features = False
    weight_bytes = 0

    def __init__(self, vocab_size: int, seed: int, device: torch.device) -> None:
        self.vocab_size = vocab_size
        self.device = device
        self.calls = 0
        self._generator = torch.Generator().manual_seed(seed)
        self._batch = 0

    def start(self, batch: int, capacity: int) -> None:
        self._batch = batch

    def prefill(
        self, row: int, prompt: list[int], first: int, features: Tensor | None, key: str
    ) -> None:
        pass

    def reach(self) -> int:
        return 1 << 30

    def first(self, pick: Pick) -> Proposals:
        return self._draw(1, pick)

    def extend(self, tokens: Tensor, parents: Tensor, visible: Tensor, pick: Pick) -> Proposals:
        return self._draw(tokens.shape[1], pick)

    def commit(
        self, paths: list[list[int]], emitted: list[list[int]], features: Tensor | None
    ) -> None:
        pass

    def move_row(self, source: int, target: int) -> None:
        pass

    def resize(self, batch: int) -> None:
        self._batch = batch

    def cache_bytes(self) -> int:
        return 0

    def record(self, key: str, tokens: list[int]) -> None:
        pass

    def _draw(self, nodes: int, pick: Pick) -> Proposals:
        logits = torch.randn(self._batch, nodes, self.vocab_size, generator=self._generator)
        return Proposals(*pick(logits.to(self.device)))
