"""`decoding=static_tree`: a tree whose shape is given, Medusa's way (arXiv 2401.10774)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from eagle_bench.decoding.draft import Draft, tree_draft
from eagle_bench.decoding.methods.method import Proposing, Streams
from eagle_bench.drafters.drafter import Drafter
from eagle_bench.machine.upload import upload


@dataclass(frozen=True)
class _Level:
    """The nodes at one depth, by what the drafter must do to reach them.

    `origin` and `rank` say for each node which extended node it is a child of, and which
    candidate; `extended` are the nodes of this level that have children; `parent_of` gives
    each of those its parent's place among the level above's extended ones.
    """

    parents: list[int]
    origin: list[int]
    rank: list[int]
    extended: list[int]
    parent_of: list[int]
    visible: Tensor


class StaticTree:
    """The nodes in `choices`, each a list of child ranks from the root."""

    def __init__(self, choices: list[list[int]], proposing: Proposing) -> None:
        self.name = "static_tree"
        self.proposing = proposing
        nodes = sorted((tuple(choice) for choice in choices), key=lambda node: (len(node), node))
        self.levels = _levels(nodes)
        self.max_nodes = len(nodes)
        self.max_extended = sum(len(level.extended) for level in self.levels)

    def draft(self, drafter: Drafter, batch: int, room: int, streams: Streams) -> Draft:
        levels = self.levels[:room]
        tokens: list[Tensor] = []
        drawn: list[Tensor] = []
        parents = [parent for level in levels for parent in level.parents]
        for depth, level in enumerate(levels):
            pick = self.proposing.pick(max(level.rank) + 1, streams)
            if depth == 0:
                proposals = drafter.first(pick)
            else:
                above, device = levels[depth - 1], tokens[-1].device
                proposals = drafter.extend(
                    tokens[-1][:, upload(above.extended, device)],
                    upload(above.parent_of, device).expand(batch, -1),
                    above.visible.to(device, non_blocking=True).expand(batch, -1, -1),
                    pick,
                )
            origin, rank = upload([level.origin, level.rank], proposals.tokens.device)
            tokens.append(proposals.tokens[:, origin, rank])
            if proposals.q is not None:
                drawn.append(proposals.q[:, origin])
        ids = torch.cat(tokens, dim=1)
        numbers = upload(parents, ids.device).expand(batch, -1)
        return tree_draft(ids, numbers, len(levels), torch.cat(drawn, dim=1) if drawn else None)

    def observe(self, depth: int, accepted: list[int], seconds: float) -> None:
        pass


def _levels(nodes: list[tuple[int, ...]]) -> list[_Level]:
    number = {node: index for index, node in enumerate(nodes, 1)} | {(): 0}
    with_children = {node[:-1] for node in nodes}
    extended: list[tuple[int, ...]] = []
    above: list[tuple[int, ...]] = [()]
    levels = []
    for depth in range(1, len(nodes[-1]) + 1):
        here = [node for node in nodes if len(node) == depth]
        growing = [node for node in here if node in with_children]
        extended += growing
        visible = [[node[: len(other)] == other for other in extended] for node in growing]
        levels.append(
            _Level(
                parents=[number[node[:-1]] for node in here],
                origin=[above.index(node[:-1]) for node in here],
                rank=[node[-1] for node in here],
                extended=[here.index(node) for node in growing],
                parent_of=[above.index(node[:-1]) for node in growing],
                visible=torch.tensor(visible, dtype=torch.bool).reshape(
                    len(growing), len(extended)
                ),
            )
        )
        above = growing
    return levels
