"""A DFlash head as a drafter: one pass over a block of masks gives every level of a draft."""

from __future__ import annotations

import torch
from torch import Tensor

from eagle_bench.drafters.autoregressive import AutoregressiveDrafter, pad_features
from eagle_bench.drafters.drafter import Proposals
from eagle_bench.drafters.heads.block import BlockHead
from eagle_bench.drafters.pick import Pick
from eagle_bench.machine.upload import upload
from eagle_bench.models.cache import attention_state
from eagle_bench.models.mask import attention_mask
from eagle_bench.models.target import State, Target


class DFlashDrafter(AutoregressiveDrafter):
    """Drafts a whole block behind the root.

    The cache holds keys and values of the target's features. The slots of a block see each other
    in both directions, so the block is as long as it was in training however few levels are
    taken. The nodes of a level share one distribution, as a P-EAGLE head's do.
    """

    name = "dflash"
    needs_features = True

    def __init__(self, head: BlockHead, target: Target) -> None:
        self.head = head
        self.block_size = head.config.block_size
        super().__init__(target.spec.max_positions, target.spec.device)
        self._embed = target.embed
        self._lm_head = target.lm_head if head.lm_head is None else head.lm_head
        self._logits = torch.empty(0, device=self.device)
        self.weight_bytes = sum(weight.nbytes for weight in head.state_dict().values())

    def _state(self, batch: int, capacity: int) -> State:
        """With room for a block behind a row that was padded to the longest."""
        return attention_state(batch, capacity + 2 * self.block_size)

    def reach(self) -> int:
        used = 1 + max(
            length + row.shape[1]
            for length, row in zip(self.cache.lengths, self._features, strict=True)
            if row is not None
        )
        return min(self.max_positions - used, self.head.config.levels)

    def prefill(
        self, row: int, prompt: list[int], first: int, features: Tensor | None, key: str
    ) -> None:
        assert features is not None
        window = self.cache.row(row)
        positions = torch.arange(len(prompt), device=self.device)[None]
        self.head.remember(features, positions, window)
        window.commit_all()
        self.calls += 1
        self.cache.adopt(row, window)
        self._tokens[row] = [first]
        self._features[row] = features[:, :0]

    def first(self, pick: Pick) -> Proposals:
        self.calls += 1
        roots = upload([[row[-1]] for row in self._tokens], self.device)
        block = roots.new_full((len(roots), self.block_size), self.head.config.mask_token)
        block[:, :1] = roots
        rows = [row for row in self._features if row is not None]
        sizes = [row.shape[1] for row in rows]
        features = pad_features(self._features, max(sizes))
        assert features is not None
        mask, positions = self._places(sizes)
        embeds = self.head.embeds(self._embed, block)
        states = self.head(embeds, features, positions, mask, self.cache)
        self.cache.commit([list(range(size)) for size in sizes])
        self._logits = self._lm_head(states[:, self.head.config.silent :])
        self._features = [row[:, :0] for row in rows]
        self._level = 0
        return self._dealt(1, pick)

    def extend(self, tokens: Tensor, parents: Tensor, visible: Tensor, pick: Pick) -> Proposals:
        """As `Drafter.extend`, from the pass that `first` made."""
        self._level += 1
        return self._dealt(tokens.shape[1], pick)

    def _places(self, sizes: list[int]) -> tuple[Tensor, Tensor]:
        """What a block's slots see, and the positions of new context and block."""
        longest, slots = max(sizes), self.block_size
        known = upload(sizes, self.device)[:, None]
        new = torch.arange(longest, device=self.device) < known
        seen = torch.cat((new, new.new_ones(len(sizes), slots)), dim=1)
        mask = attention_mask(self.cache.lengths, seen[:, None].expand(-1, slots, -1))
        starts = upload(self.cache.lengths, self.device)[:, None]
        context = starts + torch.arange(longest, device=self.device)
        block = starts + known + torch.arange(slots, device=self.device)
        return mask, torch.cat((context, block), dim=1)

    def _dealt(self, nodes: int, pick: Pick) -> Proposals:
        logits = self._logits[:, self._level, None].expand(-1, nodes, -1)
        ids, log_probs, q = pick(logits)
        mapped = self.head.target_ids
        if mapped is None:
            return Proposals(ids, log_probs, q)
        if q is not None:
            wide = q.new_zeros(*q.shape[:-1], self.head.config.layers.vocab_size)
            q = wide.index_copy(-1, mapped, q)
        return Proposals(mapped[ids], log_probs, q)

    def _run(
        self, tokens: Tensor, features: Tensor | None, positions: Tensor, mask: Tensor | None
    ) -> Tensor:
        raise AssertionError("a block is run by `first` alone")

    def _own_state(self, states: Tensor, index: Tensor) -> None:
        raise AssertionError("a block keeps no state")

    def _propose(self, states: Tensor, pick: Pick) -> Proposals:
        raise AssertionError("a block is dealt out")
