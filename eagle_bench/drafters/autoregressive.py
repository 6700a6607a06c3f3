"""What an EAGLE head and a draft model share: a cache, pending tokens, level-by-level steps.

The lasting cache holds entries of true context only. Entries made while drafting stay pending
and are dropped when the target has spoken; the accepted tokens are then fed again, together
with the next root, in one call: the first of the next round.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor

from eagle_bench.drafters.drafter import Proposals
from eagle_bench.drafters.pick import Pick
from eagle_bench.machine.upload import upload
from eagle_bench.models.mask import attention_mask
from eagle_bench.models.strides import with_own_strides
from eagle_bench.models.target import State


class AutoregressiveDrafter(ABC):
    """A drafter that runs a network over a cache.

    Subclasses say how tokens (and features) become draft logits.
    """

    name: str
    needs_features: bool
    weight_bytes: int

    def __init__(self, max_positions: int, device: torch.device) -> None:
        self.max_positions = max_positions
        self.device = device
        self.calls = 0
        self.start(0, 0)

    def start(self, batch: int, capacity: int) -> None:
        self.cache = self._state(batch, capacity)
        self._tokens: list[list[int]] = [[] for _ in range(batch)]
        self._features: list[Tensor | None] = [None] * batch
        self._states = torch.empty(0, device=self.device)
        self._level = 0

    @abstractmethod
    def _state(self, batch: int, capacity: int) -> State:
        """An empty cache of the network's own."""

    @abstractmethod
    def _run(
        self, tokens: Tensor, features: Tensor | None, positions: Tensor, mask: Tensor | None
    ) -> Tensor:
        """States `[batch, q, hidden]`; `features` None means draft from the drafter's own."""

    @abstractmethod
    def _own_state(self, states: Tensor, index: Tensor) -> None:
        """Keep the states `[batch, f]` at `index` for the next level."""

    @abstractmethod
    def _propose(self, states: Tensor, pick: Pick) -> Proposals:
        """Candidates from states `[batch, f, hidden]`."""

    def cache_bytes(self) -> int:
        return self.cache.nbytes

    def record(self, key: str, tokens: list[int]) -> None:  # noqa: B027
        pass

    def reach(self) -> int:
        used = max(
            length + len(pending)
            for length, pending in zip(self.cache.lengths, self._tokens, strict=True)
        )
        return self.max_positions - used

    def first(self, pick: Pick) -> Proposals:
        sizes = [len(tokens) for tokens in self._tokens]
        states = self._feed(self._tokens, self._features)
        self.cache.commit([list(range(size)) for size in sizes])
        last = upload(sizes, self.device)[:, None] - 1
        rows = torch.arange(len(sizes), device=self.device)[:, None]
        self._own_state(states, last)
        self._level = 0
        return self._propose(states[rows, last], pick)

    def extend(self, tokens: Tensor, parents: Tensor, visible: Tensor, pick: Pick) -> Proposals:
        """As `Drafter.extend`; with one node at each level all are the next one's ancestors."""
        batch, frontier = tokens.shape
        if self._level:
            self._own_state(self._states, parents)
        places = [[length + self._level] * frontier for length in self.cache.lengths]
        positions = upload(places, self.device)
        sees_all = batch == 1 and visible.shape[-1] == self._level + 1
        mask = None if sees_all else attention_mask(self.cache.lengths, visible)
        self._states = self._run(tokens, None, positions, mask)
        self._level += 1
        return self._propose(self._states, pick)

    def commit(
        self, paths: list[list[int]], emitted: list[list[int]], features: Tensor | None
    ) -> None:
        self.cache.rollback()
        for row, (path, tokens) in enumerate(zip(paths, emitted, strict=True)):
            self._tokens[row] = tokens
            if features is not None:
                self._features[row] = _taken(features[row : row + 1], path)

    def move_row(self, source: int, target: int) -> None:
        self.cache.move_row(source, target)
        self._tokens[target] = self._tokens[source]
        self._features[target] = self._features[source]

    def resize(self, batch: int) -> None:
        self.cache.resize(batch)
        self._tokens = (self._tokens + [[] for _ in range(batch)])[:batch]
        self._features = (self._features + [None] * batch)[:batch]

    def _feed(self, tokens: list[list[int]], features: list[Tensor | None]) -> Tensor:
        """Run rows of different lengths, padded at their ends, behind what is committed.

        Padding may lie beyond the last position, which no table of positions reaches.
        """
        longest = max(len(row) for row in tokens)
        padded = [row + [0] * (longest - len(row)) for row in tokens]
        ids = upload(padded, self.device)
        lengths = self.cache.lengths
        starts = upload(lengths, self.device)[:, None]
        positions = starts + torch.arange(longest, device=self.device)
        mask = None
        if longest > 1 and max(lengths) > 0 or len(lengths) > 1:
            causal = torch.ones(longest, longest, dtype=torch.bool, device=self.device).tril()
            mask = attention_mask(lengths, causal.expand(len(lengths), longest, longest))
        within = positions.clamp(max=self.max_positions - 1)
        return self._run(ids, pad_features(features, longest), within, mask)


def _taken(features: Tensor, path: list[int]) -> Tensor:
    """`features` `[1, nodes, width]` at the nodes of a path."""
    if path[-1] == len(path) - 1:
        return with_own_strides(features[:, : len(path)])
    return features[:, upload(path, features.device)]


def pad_features(features: list[Tensor | None], longest: int) -> Tensor | None:
    """One tensor `[batch, longest, width]` from the rows' features, zeros at their ends."""
    rows = [row for row in features if row is not None]
    if not rows:
        return None
    if len(rows) == 1:
        return rows[0]
    joined = rows[0].new_zeros(len(rows), longest, rows[0].shape[-1])
    for index, row in enumerate(rows):
        joined[index, : row.shape[1]] = row[0]
    return joined
