"""The oracle: proposes what the baseline was recorded to say. A bound, not a method."""

from __future__ import annotations

import torch
from torch import Tensor

from eagle_bench.drafters.copying import CopyingDrafter


class OracleDrafter(CopyingDrafter):
    """Always right at temperature 0.

    Attributes
    ----------
    recorded : dict[str, list[int]]
        Baseline tokens by generation key, filled before the timed generations.
    """

    name = "oracle"

    def __init__(self, device: torch.device) -> None:
        self.recorded: dict[str, list[int]] = {}
        super().__init__(device)

    def record(self, key: str, tokens: list[int]) -> None:
        self.recorded[key] = tokens

    def start(self, batch: int, capacity: int) -> None:
        super().start(batch, capacity)
        self._prompt_len = [0] * batch

    def prefill(
        self, row: int, prompt: list[int], first: int, features: Tensor | None, key: str
    ) -> None:
        super().prefill(row, prompt, first, features, key)
        self._prompt_len[row] = len(prompt)

    def continuation(self, row: int) -> list[int]:
        said = len(self.contexts[row]) - self._prompt_len[row]
        return self.recorded.get(self.keys[row], [])[said:]

    def move_row(self, source: int, target: int) -> None:
        super().move_row(source, target)
        self._prompt_len[target] = self._prompt_len[source]

    def resize(self, batch: int) -> None:
        super().resize(batch)
        self._prompt_len = (self._prompt_len + [0] * batch)[:batch]
