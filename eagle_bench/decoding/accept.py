"""Verification: which path of a draft the target agrees with, and what it says next."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from eagle_bench.decoding.draft import Draft
from eagle_bench.decoding.sampling import Sampling, draw


@dataclass(frozen=True)
class Acceptance:
    """One row's verdict.

    Attributes
    ----------
    path : list[int]
        Accepted node numbers, root first: always at least `[0]`.
    tokens : list[int]
        What the round yields: the accepted draft tokens, then the bonus.
    drafted : int
        Draft tokens that were offered, padding not counted.
    depth : int
        Longest path offered.
    """

    path: list[int]
    tokens: list[int]
    drafted: int
    depth: int

    @property
    def accepted(self) -> int:
        """Accepted draft tokens; the bonus is not one."""
        return len(self.path) - 1


def accept_greedy(draft: Draft, logits: Tensor) -> list[Acceptance]:
    """Follow the target's argmax from the root while a child agrees with it.

    One device-to-host copy for the whole batch. `logits` is `[batch, n + 1, vocab]`.
    """
    n = draft.nodes
    packed = torch.cat((draft.tokens, draft.parents, logits.argmax(-1)), dim=1).tolist()
    return [_follow(row[:n], row[n : 2 * n], row[2 * n :], draft.depth) for row in packed]


def _follow(tokens: list[int], parents: list[int], best: list[int], depth: int) -> Acceptance:
    path, taken, node = [0], [], 0
    for child, (token, parent) in enumerate(zip(tokens, parents, strict=True), 1):
        if parent == node and token == best[node]:
            node = child
            path.append(node)
            taken.append(token)
    offered = len(tokens) - tokens.count(-1)
    return Acceptance(path, [*taken, best[node]], offered, min(depth, offered))


def accept_sampled(
    draft: Draft, logits: Tensor, sampling: Sampling, streams: list[np.random.Generator]
) -> list[Acceptance]:
    """Stochastic verification that leaves the target's distribution as it is.

    At each node its children are tried in order. A child chosen deterministically is accepted
    with the probability p that the target gives it, else its mass is removed from p and p
    renormalised. A child drawn from q is accepted with min(1, p/q), else p becomes the
    normalised max(0, p - q) (arXiv 2302.01318, 2211.17192; for several children SpecInfer,
    arXiv 2305.09781). When no child is accepted the bonus is drawn from what is left of p.
    """
    tokens, parents = draft.tokens.tolist(), draft.parents.tolist()
    return [
        _walk(draft, row, tokens[row], parents[row], logits[row], sampling, stream)
        for row, stream in enumerate(streams)
    ]


def _walk(
    draft: Draft,
    row: int,
    tokens: list[int],
    parents: list[int],
    logits: Tensor,
    sampling: Sampling,
    stream: np.random.Generator,
) -> Acceptance:
    path, taken, node = [0], [], 0
    p = sampling.distribution(logits[node])
    for child, (token, parent) in enumerate(zip(tokens, parents, strict=True), 1):
        if parent != node or token < 0:
            continue
        q = None if draft.q is None else draft.q[row, child - 1]
        share = float(p[token]) if q is None else float(p[token] / q[token])
        if stream.random() < share:
            node = child
            path.append(node)
            taken.append(token)
            p = sampling.distribution(logits[node])
            continue
        if q is None:
            p[token] = 0.0
        else:
            p = (p - q).clamp(min=0.0)
        p = p / p.sum()
    offered = len(tokens) - tokens.count(-1)
    return Acceptance(path, [*taken, draw(p, stream)], offered, min(draft.depth, offered))
