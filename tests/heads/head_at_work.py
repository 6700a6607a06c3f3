"""The embedded target speaking through a head, in the loop of a run."""

from __future__ import annotations

from eagle_bench.config.decoding import ChainConfig, DecodingConfig, TreeConfig
from eagle_bench.config.drafter import Eagle3Config
from eagle_bench.config.values import DType, Proposal
from eagle_bench.decoding.loop import Decoder
from eagle_bench.decoding.methods.method import Proposing
from eagle_bench.decoding.methods.tree import Tree
from eagle_bench.drafters.build import build_drafter
from eagle_bench.models.sampling import Sampling
from eagle_bench.models.target import Target
from eagle_bench.records.generation import Request

CHAIN = ChainConfig(name="chain", draft_len=4)
TREE = TreeConfig(name="tree", depth=4, top_k=3, num_draft_tokens=10)


def speak(
    target: Target, requests: list[Request], decoding: DecodingConfig, drafter: Eagle3Config
) -> list[tuple[list[int], list[int]]]:
    """(tokens, accept lengths) of each request through the loop of a run."""
    built = build_drafter(drafter, decoding, target, DType.float32)
    greedy = Sampling()
    proposing = Proposing(Proposal.greedy, greedy)
    if isinstance(decoding, TreeConfig):
        method = Tree("tree", decoding.depth, decoding.top_k, decoding.num_draft_tokens, proposing)
    else:
        method = Tree("chain", 4, 1, 4, proposing)
    decoder = Decoder(target, built.drafter, method, greedy)
    said = {each.request.key: each for each in decoder.generate(requests)}
    return [
        (said[each.key].tokens, [round_.accepted for round_ in said[each.key].rounds])
        for each in requests
    ]
