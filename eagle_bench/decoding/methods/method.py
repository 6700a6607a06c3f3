"""What the loop asks of a decoding method: a draft each round."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from eagle_bench.config.values import Proposal
from eagle_bench.decoding.draft import Draft
from eagle_bench.drafters.drafter import Drafter
from eagle_bench.drafters.pick import Best, Drawn, Pick
from eagle_bench.models.sampling import Sampling

Streams = Sequence[np.random.Generator]


@dataclass(frozen=True)
class Proposing:
    """How draft tokens are taken: the drafter's best, or draws at the run's temperature."""

    proposal: Proposal
    sampling: Sampling

    def pick(self, k: int, streams: Streams) -> Pick:
        if self.proposal is Proposal.greedy or self.sampling.greedy:
            return Best(k)
        return Drawn(k, self.sampling, streams)


class Method(Protocol):
    """A draft shape and the rule that chooses it.

    Attributes
    ----------
    name : str
        The arm's name in the results.
    max_nodes : int
        Most tokens a draft can have.
    max_extended : int
        Most nodes that a drafter runs in a round, which its cache must hold.
    """

    name: str
    max_nodes: int
    max_extended: int

    def draft(self, drafter: Drafter, batch: int, room: int, streams: Streams) -> Draft:
        """Propose for the coming round, at most `room` levels deep."""
        ...

    def observe(self, depth: int, accepted: list[int], seconds: float) -> None:
        """What became of a round of that depth: accepted tokens per row, its wall seconds."""
        ...
