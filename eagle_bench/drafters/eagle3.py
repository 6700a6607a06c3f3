"""An EAGLE head as a drafter: features of the target in, draft tokens out."""

from __future__ import annotations

import torch
from torch import Tensor

from eagle_bench.drafters.autoregressive import AutoregressiveDrafter
from eagle_bench.drafters.drafter import Proposals
from eagle_bench.drafters.heads.head import EagleHead
from eagle_bench.drafters.pick import Pick
from eagle_bench.machine.upload import upload
from eagle_bench.models.cache import attention_state
from eagle_bench.models.strides import with_own_strides
from eagle_bench.models.target import State, Target


class Eagle3Drafter(AutoregressiveDrafter):
    """Drafts with `head` on the features of `target`.

    The feature of position i goes with token i + 1 at RoPE position i; a drafted level takes
    the head's own output in the feature's place.
    """

    needs_features = True

    def __init__(self, head: EagleHead, target: Target, name: str = "eagle3") -> None:
        super().__init__(target.spec.max_positions, target.spec.device)
        self.name = name
        self.head = head
        self._embed = head.embed if head.embed_tokens is not None else target.embed
        self._own: Tensor | None = None
        borrowed = set() if head.config.own_lm_head else {"lm_head.weight", "lm_head.bias"}
        own = [weight for name, weight in head.state_dict().items() if name not in borrowed]
        self.weight_bytes = sum(weight.nbytes for weight in own)

    def _state(self, batch: int, capacity: int) -> State:
        return attention_state(batch, capacity)

    def prefill(
        self, row: int, prompt: list[int], first: int, features: Tensor | None, key: str
    ) -> None:
        """Feed the prompt's pairs but the last, whose token is the root: `first` feeds it."""
        assert features is not None
        window = self.cache.row(row)
        if len(prompt) > 1:
            tokens = upload([prompt[1:]], self.device)
            positions = torch.arange(len(prompt) - 1, device=self.device)[None]
            fused = self.head.fuse(with_own_strides(features[:, :-1]))
            self.head(self._embed(tokens), fused, positions, None, window)
            window.commit_all()
            self.calls += 1
        self.cache.adopt(row, window)
        self._tokens[row] = [first]
        self._features[row] = with_own_strides(features[:, -1:])

    def _run(
        self, tokens: Tensor, features: Tensor | None, positions: Tensor, mask: Tensor | None
    ) -> Tensor:
        self.calls += 1
        hidden = self._own if features is None else self.head.fuse(features)
        assert hidden is not None
        states: Tensor = self.head(self._embed(tokens), hidden, positions, mask, self.cache)
        return states

    def _own_state(self, states: Tensor, index: Tensor) -> None:
        if states.shape[1] == 1 == index.shape[1]:
            self._own = states
        else:
            wide = index[..., None].expand(*index.shape, states.shape[-1])
            self._own = states.gather(1, wide)

    def _propose(self, states: Tensor, pick: Pick) -> Proposals:
        return self._proposed(self.head.logits(states), pick)

    def _proposed(self, logits: Tensor, pick: Pick) -> Proposals:
        """Candidates, as the target's tokens, from draft logits `[batch, f, draft_vocab]`."""
        ids, log_probs, q = pick(logits)
        if q is not None and self.head.d2t is not None:
            wide = q.new_zeros(*q.shape[:-1], self.head.config.vocab_size)
            own = torch.arange(q.shape[-1], device=q.device)
            q = wide.index_copy(-1, self.head.to_target(own), q)
        return Proposals(self.head.to_target(ids), log_probs, q)

    def extend(self, tokens: Tensor, parents: Tensor, visible: Tensor, pick: Pick) -> Proposals:
        if self._level == 0 and tokens.shape[1] > 1:
            assert self._own is not None
            self._own = self._own.expand(-1, tokens.shape[1], -1)
        return super().extend(tokens, parents, visible, pick)
