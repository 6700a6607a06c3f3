"""Prompt lookup: copy what followed the context's last n-gram when it was seen before.

Saxena, "Prompt Lookup Decoding" (2023); no training and no network.
"""

from __future__ import annotations

import torch
from torch import Tensor

from eagle_bench.drafters.copying import CopyingDrafter

LONGEST_COPY = 64


class PromptLookupDrafter(CopyingDrafter):
    """The latest earlier occurrence of the longest n-gram that has one."""

    name = "prompt_lookup"

    def __init__(self, max_ngram: int, min_ngram: int, device: torch.device) -> None:
        self.sizes = range(max_ngram, min_ngram - 1, -1)
        super().__init__(device)

    def start(self, batch: int, capacity: int) -> None:
        super().start(batch, capacity)
        self._ends: list[dict[tuple[int, ...], int]] = [{} for _ in range(batch)]
        self._indexed = [0] * batch

    def prefill(
        self, row: int, prompt: list[int], first: int, features: Tensor | None, key: str
    ) -> None:
        super().prefill(row, prompt, first, features, key)
        self._ends[row], self._indexed[row] = {}, 0

    def continuation(self, row: int) -> list[int]:
        context, ends = self.contexts[row], self._ends[row]
        for end in range(self._indexed[row] + 1, len(context)):
            for size in self.sizes:
                if size <= end:
                    ends[tuple(context[end - size : end])] = end
        self._indexed[row] = max(len(context) - 1, 0)
        for size in self.sizes:
            found = ends.get(tuple(context[-size:]))
            if found is not None:
                return context[found : found + LONGEST_COPY]
        return []

    def move_row(self, source: int, target: int) -> None:
        super().move_row(source, target)
        self._ends[target] = self._ends[source]
        self._indexed[target] = self._indexed[source]

    def resize(self, batch: int) -> None:
        super().resize(batch)
        self._ends = (self._ends + [{} for _ in range(batch)])[:batch]
        self._indexed = (self._indexed + [0] * batch)[:batch]
