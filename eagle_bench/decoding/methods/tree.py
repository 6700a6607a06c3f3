"""`decoding=chain` and `decoding=tree`: fixed depth and width, grown the same way."""

from __future__ import annotations

from eagle_bench.decoding.draft import Draft
from eagle_bench.decoding.methods.grow import grow
from eagle_bench.decoding.methods.method import Proposing, Streams
from eagle_bench.drafters.drafter import Drafter


class Tree:
    """`depth` levels, `top_k` wide, the best `nodes` tokens verified; `top_k` 1 is a chain."""

    def __init__(self, name: str, depth: int, top_k: int, nodes: int, proposing: Proposing) -> None:
        self.name = name
        self.depth = depth
        self.top_k = top_k
        self.max_nodes = nodes
        self.max_extended = depth * top_k
        self.proposing = proposing

    def draft(self, drafter: Drafter, batch: int, room: int, streams: Streams) -> Draft:
        pick = self.proposing.pick(self.top_k, streams)
        return grow(drafter, min(self.depth, room), self.max_nodes, pick)

    def observe(self, depth: int, accepted: list[int], seconds: float) -> None:
        pass
