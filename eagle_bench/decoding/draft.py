"""A draft: a tree of proposed tokens under a root that the target has already chosen.

A chain is a tree with one branch. Node 0 is the root; nodes 1..n are drafted, parents before
children. Token -1 is padding (a row with less to propose) and is never accepted.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor


@dataclass(frozen=True)
class Draft:
    """Proposals for every row of a batch.

    Attributes
    ----------
    tokens : Tensor
        int64 `[batch, n]`, the drafted tokens without the root.
    parents : Tensor
        int64 `[batch, n]`, node numbers (0 is the root).
    depths : Tensor
        int64 `[batch, n + 1]`, distance from the root, the root's 0 first.
    visible : Tensor
        bool `[batch, n + 1, n + 1]`, each node's ancestors and itself.
    depth : int
        The longest path.
    q : Tensor or None
        `[batch, n, vocab]`: the distribution each token was drawn from. None when tokens were
        chosen deterministically.
    """

    tokens: Tensor
    parents: Tensor
    depths: Tensor
    visible: Tensor
    depth: int
    q: Tensor | None = None

    @property
    def nodes(self) -> int:
        return self.tokens.shape[1]


@lru_cache(maxsize=64)
def _chain_shape(batch: int, n: int, device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    parents = torch.arange(n, device=device).expand(batch, n)
    depths = torch.arange(n + 1, device=device).expand(batch, n + 1)
    visible = torch.ones(n + 1, n + 1, dtype=torch.bool, device=device).tril()
    return parents, depths, visible.expand(batch, n + 1, n + 1)


def chain_draft(tokens: Tensor, q: Tensor | None = None) -> Draft:
    """A draft with one branch from tokens `[batch, n]`; n may be 0."""
    parents, depths, visible = _chain_shape(*tokens.shape, tokens.device)
    return Draft(tokens, parents, depths, visible, tokens.shape[1], q)


def no_draft(batch: int, device: torch.device) -> Draft:
    """A draft of no tokens: verifying it is the baseline's step."""
    return chain_draft(torch.empty(batch, 0, dtype=torch.int64, device=device))


def tree_draft(tokens: Tensor, parents: Tensor, depth: int, q: Tensor | None = None) -> Draft:
    """A draft from tokens and parents `[batch, n]`, parents before children.

    No path may be longer than `depth`: each squaring of "sees itself and its parent" doubles how
    far up a node sees.
    """
    batch, n = tokens.shape
    seen = torch.eye(n + 1, device=tokens.device).repeat(batch, 1, 1)
    seen[:, 1:].scatter_(2, parents[..., None], 1.0)
    for _ in range((depth - 1).bit_length()):
        seen = (seen @ seen).clamp(max=1.0)
    visible = seen.bool()
    return Draft(tokens, parents, visible.sum(-1) - 1, visible, depth, q)
