"""Verification: which path of a draft the target agrees with, and what it says next."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from eagle_bench.decoding.draft import Draft
from eagle_bench.models.sampling import Sampling, draw


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
        Longest path offered in this row.
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
    parts = (draft.tokens, draft.parents, draft.depths[:, 1:], logits.argmax(-1))
    verdicts = []
    for row in torch.cat(parts, dim=1).tolist():
        offer = _Offer(row[:n], row[n : 2 * n], row[2 * n : 3 * n])
        verdicts.append(_follow(offer, row[3 * n :].__getitem__))
    return verdicts


def accept_sampled(
    draft: Draft, logits: Tensor, sampling: Sampling, streams: list[np.random.Generator]
) -> list[Acceptance]:
    """Stochastic verification that leaves the target's distribution as it is.

    Drafts chosen deterministically: at each node reached, the target's token is drawn from its
    own distribution and the child that proposed it, if any, is accepted. So a child is
    accepted with the probability that the target gives it, and each emitted token takes one
    random number: the output is the baseline's for the same stream, however much was drafted.

    Drafts drawn from q: a node's children are tried in order. One is accepted with
    min(1, p/q), else p becomes the normalised max(0, p - q), from which the bonus is drawn
    when no child is left (arXiv 2302.01318, 2211.17192; for several children SpecInfer,
    arXiv 2305.09781).
    """
    n = draft.nodes
    packed = torch.cat((draft.tokens, draft.parents, draft.depths[:, 1:]), dim=1).tolist()
    verdicts = []
    for row, (numbers, stream) in enumerate(zip(packed, streams, strict=True)):
        offer = _Offer(numbers[:n], numbers[n : 2 * n], numbers[2 * n :])
        speaker = _Speaker(logits[row], sampling, stream)
        if draft.q is None:
            verdicts.append(_follow(offer, speaker.draw))
        else:
            verdicts.append(_try_in_turn(offer, draft.q[row], speaker))
    return verdicts


@dataclass(frozen=True)
class _Offer:
    """One row's draft on the host: tokens, parents and depths of the nodes after the root."""

    tokens: list[int]
    parents: list[int]
    depths: list[int]

    def verdict(self, path: list[int], bonus: int) -> Acceptance:
        pairs = zip(self.depths, self.tokens, strict=True)
        offered = [depth for depth, token in pairs if token >= 0]
        taken = [self.tokens[node - 1] for node in path[1:]]
        return Acceptance(path, [*taken, bonus], len(offered), max(offered, default=0))


@dataclass(frozen=True)
class _Speaker:
    """What the target says at the nodes of one row; `logits` is `[n + 1, vocab]`."""

    logits: Tensor
    sampling: Sampling
    stream: np.random.Generator

    def distribution(self, node: int) -> Tensor:
        return self.sampling.distribution(self.logits[node])

    def draw(self, node: int) -> int:
        return draw(self.distribution(node), self.stream)


def _follow(offer: _Offer, say: Callable[[int], int]) -> Acceptance:
    """Go on from the root to the child that proposed what the target says."""
    path, said = [0], say(0)
    for child, (token, parent) in enumerate(zip(offer.tokens, offer.parents, strict=True), 1):
        if parent == path[-1] and token == said:
            path.append(child)
            said = say(child)
    return offer.verdict(path, said)


def _try_in_turn(offer: _Offer, q: Tensor, speaker: _Speaker) -> Acceptance:
    """Accept or reject children drawn from `q` `[n, vocab]` one after another."""
    path, p = [0], speaker.distribution(0)
    for child, (token, parent) in enumerate(zip(offer.tokens, offer.parents, strict=True), 1):
        if parent != path[-1]:
            continue
        drawn_from = q[child - 1]
        if speaker.stream.random() < float(p[token] / drawn_from[token]):
            path.append(child)
            p = speaker.distribution(child)
        else:
            p = (p - drawn_from).clamp(min=0.0)
            p = p / p.sum()
    return offer.verdict(path, draw(p, speaker.stream))
