"""An EAGLE head whose levels are compiled, for one prompt at a time."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F

from eagle_bench.drafters.drafter import Proposals
from eagle_bench.drafters.eagle3 import Eagle3Drafter
from eagle_bench.drafters.heads.compiled import STEP, CompiledLevels
from eagle_bench.drafters.heads.head import EagleHead
from eagle_bench.drafters.heads.levels import LEVELS, ROWS
from eagle_bench.drafters.pick import Pick
from eagle_bench.machine.upload import upload
from eagle_bench.models.cache import attention_state
from eagle_bench.models.target import State, Target


class CompiledEagle3Drafter(Eagle3Drafter):
    """As `Eagle3Drafter`; what the compiled levels are not made for, it does itself.

    That is: more than one row, drawn tokens, another width, longer feeds or deeper drafts.
    """

    def __init__(self, head: EagleHead, target: Target, name: str, levels: CompiledLevels) -> None:
        self._levels = levels
        super().__init__(head, target, name)

    def _state(self, batch: int, capacity: int) -> State:
        """With room for a first level's padding."""
        return attention_state(batch, capacity + ROWS + -(capacity + ROWS) % STEP)

    def _takes(self, pick: Pick) -> bool:
        written = self.cache.nbytes > 0
        return self.cache.batch == 1 and written and pick.best and pick.k == self._levels.k

    def first(self, pick: Pick) -> Proposals:
        [tokens], [features] = self._tokens[:1], self._features[:1]
        if not self._takes(pick) or len(tokens) > ROWS:
            return super().first(pick)
        assert features is not None
        self.calls += 1
        missing = ROWS - len(tokens)
        place = upload([self.cache.lengths[0], len(tokens) - 1], self.device)
        ids = upload([tokens + [0] * missing], self.device)
        fed = F.pad(features, (0, 0, 0, missing))
        states, found, log_probs = self._levels.first(ids, fed, place, self._entries())
        self.cache.advance(len(tokens))
        self.cache.commit_all()
        self._own, self._level = states, 0
        return Proposals(found, log_probs)

    def extend(self, tokens: Tensor, parents: Tensor, visible: Tensor, pick: Pick) -> Proposals:
        frontier = tokens.shape[1]
        fits = frontier == self._levels.k and self._level < LEVELS
        if not (self._takes(pick) and fits):
            return super().extend(tokens, parents, visible, pick)
        if self._level:
            self._own_state(self._states, parents)
        assert self._own is not None
        self.calls += 1
        place = upload([self.cache.lengths[0], self._level], self.device)
        seen = F.pad(visible, (0, LEVELS * frontier - visible.shape[-1]))
        own = self._own.expand(-1, frontier, -1).contiguous()
        self._states, found, log_probs = self._levels.next(
            tokens.contiguous(), own, seen, place, self._entries()
        )
        self.cache.advance(frontier)
        self._level += 1
        return Proposals(found, log_probs)

    def _entries(self) -> tuple[Tensor, ...]:
        layers = range(self.head.config.num_layers)
        return tuple(entries for layer in layers for entries in self.cache.entries(layer))
