"""A P-EAGLE head as a drafter: one pass gives every level of a draft (arXiv 2602.01469)."""

from __future__ import annotations

import torch
from torch import Tensor

from eagle_bench.drafters.drafter import Proposals
from eagle_bench.drafters.eagle3 import Eagle3Drafter
from eagle_bench.drafters.heads.head import EagleHead
from eagle_bench.drafters.pick import Pick
from eagle_bench.machine.upload import upload
from eagle_bench.models.cache import attention_state
from eagle_bench.models.target import State, Target


class PEagleDrafter(Eagle3Drafter):
    """Drafts `levels` levels at once, from the root and a slot for each level after the first.

    A slot is the mask token beside `mask_hidden`. It sees the context and the slots before it, so
    what a level proposes depends neither on the levels after it nor on the tokens chosen in those
    before: the nodes of a level share one distribution, and a tree is the product of the levels'
    candidates. Slots never last; what was accepted is fed as context in the next round.
    """

    def __init__(self, head: EagleHead, target: Target, levels: int) -> None:
        self._slots = levels - 1
        super().__init__(head, target, "p_eagle")
        assert head.mask_hidden is not None
        assert head.config.mask_token is not None
        self._masks = [head.config.mask_token] * self._slots
        self._waiting = head.mask_hidden.detach().expand(1, self._slots, -1)
        self._logits = torch.empty(0, device=self.device)

    def _state(self, batch: int, capacity: int) -> State:
        """With room for the slots behind a row that was padded to the longest."""
        return attention_state(batch, capacity + self._slots)

    def reach(self) -> int:
        return min(super().reach(), 1 + self._slots)

    def first(self, pick: Pick) -> Proposals:
        sizes = [len(tokens) for tokens in self._tokens]
        tokens = [row + self._masks for row in self._tokens]
        known = [row for row in self._features if row is not None]
        states = self._feed(tokens, [torch.cat((row, self._waiting), dim=1) for row in known])
        self.cache.commit([list(range(size)) for size in sizes])
        levels = torch.arange(1 + self._slots, device=self.device)
        rows = torch.arange(len(sizes), device=self.device)[:, None]
        drafting = upload(sizes, self.device)[:, None] - 1 + levels
        self._logits = self.head.logits(states[rows, drafting])
        self._level = 0
        return self._proposed(self._logits[:, :1], pick)

    def extend(self, tokens: Tensor, parents: Tensor, visible: Tensor, pick: Pick) -> Proposals:
        """As `Drafter.extend`, from the pass that `first` made."""
        self._level += 1
        level = self._logits[:, self._level, None]
        return self._proposed(level.expand(-1, tokens.shape[1], -1), pick)
