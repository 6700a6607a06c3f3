"""Growing a draft level by level: EAGLE-2's dynamic tree, of which a chain is the narrowest."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from eagle_bench.decoding.draft import Draft, chain_draft, tree_draft
from eagle_bench.drafters.drafter import Drafter, Proposals
from eagle_bench.drafters.pick import Pick

Stop = Callable[[Tensor], bool]


def grow(drafter: Drafter, depth: int, nodes: int, pick: Pick, stop: Stop | None = None) -> Draft:
    """Expand the best `pick.k` nodes of each level and keep the best `nodes` of all.

    A node's score is the log-probability of its path. Each level forwards the frontier; of its
    k*k children the best k make the next frontier and all stay candidates (EAGLE-2,
    arXiv 2406.16858, section 4). `stop` sees the frontier's scores `[batch, k]` after each
    level and may end the draft.
    """
    if pick.k == 1:
        return _grow_chain(drafter, depth, pick, stop)
    k = pick.k
    proposals = drafter.first(pick)
    device = proposals.tokens.device
    batch = proposals.tokens.shape[0]
    tokens, scores = [proposals.tokens[:, 0]], [proposals.log_probs[:, 0]]
    parents = [torch.zeros(batch, k, dtype=torch.int64, device=device)]
    own = torch.eye(k, dtype=torch.bool, device=device).expand(batch, k, k)
    frontier, score, visible = tokens[0], scores[0], own
    chosen = torch.zeros(batch, k, dtype=torch.int64, device=device)
    numbers = torch.arange(1, k + 1, device=device).expand(batch, k)
    levels = 1
    while levels < depth and not (stop is not None and stop(score)):
        proposals = drafter.extend(frontier, chosen, visible, pick)
        born = sum(level.shape[1] for level in tokens)
        tokens.append(proposals.tokens.flatten(1))
        scores.append((score[..., None] + proposals.log_probs).flatten(1))
        parents.append(numbers.repeat_interleave(k, dim=1))
        levels += 1
        score, best = scores[-1].topk(k, dim=-1)
        chosen = best // k
        numbers = born + 1 + best
        frontier = tokens[-1].gather(1, best)
        index = chosen[..., None].expand(-1, -1, visible.shape[-1])
        visible = torch.cat((visible.gather(1, index), own), dim=-1)
    everything = torch.cat(tokens, dim=1), torch.cat(scores, 1), torch.cat(parents, 1)
    return _keep_best(*everything, nodes, levels)


def _grow_chain(drafter: Drafter, depth: int, pick: Pick, stop: Stop | None) -> Draft:
    """The same with one node a level, which has no frontier to choose."""
    levels = [drafter.first(pick)]
    batch, device = len(levels[0].tokens), levels[0].tokens.device
    parents = torch.zeros(batch, 1, dtype=torch.int64, device=device)
    visible = torch.ones(batch, 1, depth, dtype=torch.bool, device=device)
    while len(levels) < depth and not (stop is not None and stop(_score(levels))):
        tokens = levels[-1].tokens[:, 0]
        levels.append(drafter.extend(tokens, parents, visible[..., : len(levels)], pick))
    return chain_draft(torch.cat([level.tokens[:, 0] for level in levels], 1), _origins(levels))


def _score(levels: list[Proposals]) -> Tensor:
    """Log-probability `[batch, 1]` of a chain's path."""
    return torch.cat([level.log_probs[:, 0] for level in levels], 1).sum(1, keepdim=True)


def _keep_best(tokens: Tensor, scores: Tensor, parents: Tensor, nodes: int, depth: int) -> Draft:
    """The `nodes` best candidates in order of creation, their parents renumbered.

    The sort is stable, so among equal scores a parent, made earlier, stays before its child.
    """
    nodes = min(nodes, tokens.shape[1])
    order = scores.sort(dim=-1, descending=True, stable=True).indices
    kept = order[:, :nodes].sort(dim=-1).values
    old = parents.gather(1, kept)
    new = torch.where(old > 0, torch.searchsorted(kept, (old - 1).clamp(min=0)) + 1, 0)
    return tree_draft(tokens.gather(1, kept), new, depth)


def _origins(levels: list[Proposals]) -> Tensor | None:
    """The distributions `[batch, n, vocab]` that a chain's tokens were drawn from."""
    q = [proposals.q for proposals in levels if proposals.q is not None]
    return torch.cat(q, dim=1) if q else None
