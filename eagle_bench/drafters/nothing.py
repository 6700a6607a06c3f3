"""The baseline's drafter: there is none."""

from __future__ import annotations

from torch import Tensor

from eagle_bench.drafters.drafter import Proposals
from eagle_bench.drafters.pick import Pick


class NoDrafter:
    """Can draft no level at all."""

    name = "none"
    needs_features = False
    weight_bytes = 0
    calls = 0

    def start(self, batch: int, capacity: int) -> None:
        pass

    def prefill(
        self, row: int, prompt: list[int], first: int, features: Tensor | None, key: str
    ) -> None:
        pass

    def reach(self) -> int:
        return 0

    def first(self, pick: Pick) -> Proposals:
        raise AssertionError("nothing can be drafted")

    def extend(self, tokens: Tensor, parents: Tensor, visible: Tensor, pick: Pick) -> Proposals:
        raise AssertionError("nothing can be drafted")

    def commit(
        self, paths: list[list[int]], emitted: list[list[int]], features: Tensor | None
    ) -> None:
        pass

    def move_row(self, source: int, target: int) -> None:
        pass

    def resize(self, batch: int) -> None:
        pass

    def cache_bytes(self) -> int:
        return 0

    def record(self, key: str, tokens: list[int]) -> None:
        pass
