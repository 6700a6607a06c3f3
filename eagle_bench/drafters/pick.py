"""How draft tokens are taken from a drafter's logits: its best ones, or drawn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar, NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor

from eagle_bench.models.sampling import Sampling, draw


class Picked(NamedTuple):
    """Draft ids and log p `[batch, f, k]`; `q` `[batch, f, draft_vocab]` when drawn."""

    ids: Tensor
    log_probs: Tensor
    q: Tensor | None


class Pick(Protocol):
    """Chooses `k` children of each node from logits `[batch, f, draft_vocab]`.

    `best`: they are the most probable ones, not drawn.
    """

    best: ClassVar[bool]

    @property
    def k(self) -> int: ...

    def __call__(self, logits: Tensor) -> Picked: ...


@dataclass(frozen=True)
class Best:
    """The `k` most probable tokens."""

    best: ClassVar[bool] = True
    k: int

    def __call__(self, logits: Tensor) -> Picked:
        top = logits.topk(self.k, dim=-1)
        return Picked(top.indices, top.values - logits.logsumexp(-1, keepdim=True), None)


@dataclass
class Drawn:
    """`k` independent draws from the drafter's distribution at the run's temperature.

    `streams` are the rows' random numbers, so a draw does not depend on the batch.
    """

    best: ClassVar[bool] = False
    k: int
    sampling: Sampling
    streams: Sequence[np.random.Generator] = field(default_factory=list)

    def __call__(self, logits: Tensor) -> Picked:
        q = self.sampling.distribution(logits)
        rows, nodes, _ = q.shape
        ids = torch.tensor(
            [
                [
                    [draw(q[row, node], self.streams[row]) for _ in range(self.k)]
                    for node in range(nodes)
                ]
                for row in range(rows)
            ],
            device=logits.device,
        )
        return Picked(ids, q.gather(-1, ids).log(), q)
