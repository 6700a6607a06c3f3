"""A small causal LM with the target's tokenizer as a drafter (arXiv 2302.01318)."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from eagle_bench.drafters.autoregressive import AutoregressiveDrafter
from eagle_bench.drafters.drafter import Proposals
from eagle_bench.drafters.pick import Pick
from eagle_bench.machine.upload import upload
from eagle_bench.models.target import State, Target


class DraftModelDrafter(AutoregressiveDrafter):
    """Drafts with any target implementation, KV-cached.

    Models of one tokenizer may pad their vocabularies differently; drafted tokens and their
    distributions are over the target's `vocab_size`. A token that the model has no row for is
    read as its last one.
    """

    name = "draft_model"
    needs_features = False

    def __init__(self, model: Target, vocab_size: int) -> None:
        self.model = model
        self.vocab_size = vocab_size
        self.weight_bytes = model.spec.weight_bytes
        self._last = model.spec.vocab_size - 1
        super().__init__(model.spec.max_positions, model.spec.device)

    def _state(self, batch: int, capacity: int) -> State:
        return self.model.state(batch, capacity)

    def prefill(
        self, row: int, prompt: list[int], first: int, features: Tensor | None, key: str
    ) -> None:
        window = self.cache.row(row)
        tokens = self.known(upload([prompt], self.device))
        positions = torch.arange(len(prompt), device=self.device)[None]
        self.model.forward(tokens, positions, None, window, features=False, last_only=True)
        window.commit_all()
        self.calls += 1
        self.cache.adopt(row, window)
        self._tokens[row] = [first]

    def _run(
        self, tokens: Tensor, features: Tensor | None, positions: Tensor, mask: Tensor | None
    ) -> Tensor:
        self.calls += 1
        tokens = self.known(tokens)
        return self.model.forward(tokens, positions, mask, self.cache, features=False).logits

    def known(self, tokens: Tensor) -> Tensor:
        """`tokens` of the target as the model can read them."""
        return tokens if self._last + 1 >= self.vocab_size else tokens.clamp(max=self._last)

    def _own_state(self, states: Tensor, index: Tensor) -> None:
        """Nothing to keep: the cache is all the state there is."""

    def _propose(self, states: Tensor, pick: Pick) -> Proposals:
        beyond = self.vocab_size - states.shape[-1]
        return Proposals(*pick(F.pad(states, (0, beyond), value=-torch.inf)))
