"""Drafters that know one continuation and never run a network: lookup and oracle share this."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor

from eagle_bench.drafters.drafter import Proposals
from eagle_bench.drafters.pick import Pick
from eagle_bench.machine.upload import upload


class CopyingDrafter(ABC):
    """Proposes, level by level, the tokens of one known continuation per row."""

    name: str
    needs_features = False
    weight_bytes = 0

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.calls = 0
        self.start(0, 0)

    def start(self, batch: int, capacity: int) -> None:
        self.contexts: list[list[int]] = [[] for _ in range(batch)]
        self.keys = [""] * batch
        self._known: list[list[int]] = []
        self._level = 0

    @abstractmethod
    def continuation(self, row: int) -> list[int]:
        """What the row's context will be followed by."""

    def prefill(
        self, row: int, prompt: list[int], first: int, features: Tensor | None, key: str
    ) -> None:
        self.contexts[row] = [*prompt, first]
        self.keys[row] = key

    def reach(self) -> int:
        self._known = [self.continuation(row) for row in range(len(self.contexts))]
        return max(len(known) for known in self._known)

    def first(self, pick: Pick) -> Proposals:
        self._level = 0
        return self._next()

    def extend(self, tokens: Tensor, parents: Tensor, visible: Tensor, pick: Pick) -> Proposals:
        self._level += 1
        return self._next()

    def _next(self) -> Proposals:
        level = self._level
        tokens = [[[known[level] if level < len(known) else -1]] for known in self._known]
        ids = upload(tokens, self.device)
        return Proposals(ids, torch.zeros(ids.shape, device=self.device))

    def commit(
        self, paths: list[list[int]], emitted: list[list[int]], features: Tensor | None
    ) -> None:
        for context, tokens in zip(self.contexts, emitted, strict=True):
            context += tokens

    def move_row(self, source: int, target: int) -> None:
        self.contexts[target] = self.contexts[source]
        self.keys[target] = self.keys[source]

    def resize(self, batch: int) -> None:
        self.contexts = (self.contexts + [[] for _ in range(batch)])[:batch]
        self.keys = (self.keys + [""] * batch)[:batch]

    def cache_bytes(self) -> int:
        return 0

    def record(self, key: str, tokens: list[int]) -> None:  # noqa: B027
        pass
