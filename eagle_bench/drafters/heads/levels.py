"""The levels of a head's draft for one row, each as a function of tensors alone.

They say what `Eagle3Drafter` does at a level, with the whole cache, its places and its mask as
arguments of fixed shape, so that a compiler can make one kernel call of it.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from eagle_bench.drafters.heads.head import EagleHead
from eagle_bench.drafters.pick import Best

ROWS, LEVELS = 8, 16
"""The most tokens that a first level is fed, and the most levels that a draft grows to."""


class _Slots:
    """All entries of a cache, of which a level writes those at `slots`."""

    def __init__(self, entries: tuple[Tensor, ...], slots: Tensor) -> None:
        self._entries, self._slots = entries, slots

    def update(self, k: Tensor, v: Tensor, layer_idx: int) -> tuple[Tensor, Tensor]:
        keys, values = self._entries[2 * layer_idx : 2 * layer_idx + 2]
        return keys.index_copy_(2, self._slots, k), values.index_copy_(2, self._slots, v)

    def advance(self, q: int) -> None:
        """The caller counts what is kept."""


class _Level(nn.Module):
    """What both levels share.

    Parameters
    ----------
    embeddings : Tensor
        `[vocab, hidden]`.
    frontier, k : int
        Nodes that a level extends, and children that each of them gets.
    """

    def __init__(
        self, head: EagleHead, embeddings: Tensor, frontier: int, k: int, max_positions: int
    ) -> None:
        super().__init__()
        self.head = head
        self.embeddings = nn.Buffer(embeddings)
        self.frontier = frontier
        self.pick = Best(k)
        self.last_position = max_positions - 1

    def _run(
        self,
        tokens: Tensor,
        hidden: Tensor,
        positions: Tensor,
        slots: Tensor,
        seen: Tensor,
        entries: tuple[Tensor, ...],
    ) -> Tensor:
        embeds = F.embedding(tokens, self.embeddings)
        within = positions.clamp(max=self.last_position)
        cache = _Slots(entries, slots)
        return torch.as_tensor(self.head(embeds, hidden, within[None], seen[None, None], cache))

    def _proposed(self, states: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """States, and the target ids and log p of their children `[1, f, k]`."""
        ids, log_probs, _ = self.pick(self.head.logits(states))
        return states, self.head.to_target(ids), log_probs


class FirstLevel(_Level):
    """The tokens that the target has settled, padded to `ROWS`; proposals from the last one."""

    def forward(
        self, tokens: Tensor, features: Tensor, place: Tensor, entries: tuple[Tensor, ...]
    ) -> tuple[Tensor, Tensor, Tensor]:
        """As `EagleHead.forward` over `features` `[1, ROWS, width]`.

        `place` int64 `[2]`: committed entries, and the row of the last token. `entries`: keys
        and values `[1, kv_heads, capacity, head_dim]` of each layer.
        """
        start, last = place[0], place[1:]
        slots = start + torch.arange(ROWS)
        seen = torch.arange(entries[0].shape[2]) <= slots[:, None]
        hidden = self.head.fuse(features)
        states = self._run(tokens, hidden, slots, slots, seen, entries)
        return self._proposed(states.index_select(1, last))


class NextLevel(_Level):
    """A frontier of `f` nodes behind the tokens that the target has settled."""

    def forward(
        self,
        tokens: Tensor,
        hidden: Tensor,
        visible: Tensor,
        place: Tensor,
        entries: tuple[Tensor, ...],
    ) -> tuple[Tensor, Tensor, Tensor]:
        """As `EagleHead.forward` over `hidden` `[1, f, hidden]`.

        `visible` bool `[1, f, LEVELS * f]`; `place` int64 `[2]`: committed entries, and the
        level, from 0 on.
        """
        start, level = place[0], place[1]
        drafted = torch.arange(entries[0].shape[2]) - start
        nodes = visible.shape[-1]
        among = visible[0].index_select(1, drafted.clamp(0, nodes - 1))
        seen = (drafted < 0) | (among & (drafted < nodes))
        slots = start + level * self.frontier + torch.arange(self.frontier)
        positions = (start + level).expand(self.frontier)
        return self._proposed(self._run(tokens, hidden, positions, slots, seen, entries))
