"""Trees against slow oracles: visibility, EAGLE-2's expansion, Medusa's choices, chains."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from eagle_bench.config.decoding import AdaptiveConfig
from eagle_bench.config.values import AdaptiveRule, Proposal
from eagle_bench.decoding.accept import accept_greedy
from eagle_bench.decoding.draft import Draft, chain_draft, no_draft, tree_draft
from eagle_bench.decoding.methods.adaptive import Adaptive, Throughput
from eagle_bench.decoding.methods.grow import grow
from eagle_bench.decoding.methods.method import Proposing
from eagle_bench.decoding.methods.static_tree import StaticTree
from eagle_bench.drafters.drafter import Proposals
from eagle_bench.drafters.pick import Best
from eagle_bench.models.sampling import Sampling

VOCAB = 11
GREEDY = Proposing(Proposal.greedy, Sampling())


def next_logits(seed: int, path: tuple[int, ...]) -> Tensor:
    """A language model without a network: any path has logits of its own."""
    number = seed
    for token in path:
        number = (number * 1_000_003 + token + 1) % 2**31
    return torch.randn(VOCAB, generator=torch.Generator().manual_seed(number)) * 1.5


class PathDrafter:
    """Knows by `visible` and `parents` which path it is asked about, and checks that they agree."""

    name, needs_features, branches, calls = "paths", False, True, 0

    def __init__(self, seeds: list[int]) -> None:
        self.seeds = seeds

    def first(self, pick: Any) -> Proposals:
        self.paths: list[list[tuple[int, ...]]] = [[()] for _ in self.seeds]
        self.extended: list[list[tuple[int, ...]]] = [[] for _ in self.seeds]
        return self.proposals(pick)

    def extend(self, tokens: Tensor, parents: Tensor, visible: Tensor, pick: Any) -> Proposals:
        for row, before in enumerate(self.paths):
            now = [
                (*before[parent], token)
                for token, parent in zip(tokens[row].tolist(), parents[row].tolist(), strict=True)
            ]
            self.extended[row] += now
            for node, path in enumerate(now):
                seen = [self.extended[row][i] for i in visible[row, node].nonzero().flatten()]
                assert sorted(seen, key=len) == [path[:n] for n in range(1, len(path) + 1)]
            self.paths[row] = now
        return self.proposals(pick)

    def proposals(self, pick: Any) -> Proposals:
        logits = [
            torch.stack([next_logits(seed, path) for path in paths])
            for seed, paths in zip(self.seeds, self.paths, strict=True)
        ]
        return Proposals(*pick(torch.stack(logits)))


def paths_of(draft: Draft, row: int) -> list[tuple[int, ...]]:
    paths: list[tuple[int, ...]] = [()]
    for token, parent in zip(draft.tokens[row].tolist(), draft.parents[row].tolist(), strict=True):
        paths.append((*paths[parent], token))
    return paths[1:]


def eagle2(seed: int, depth: int, k: int, total: int) -> set[tuple[int, ...]]:
    """`eagle3.md` section 3, path by path."""

    def children(path: tuple[int, ...], score: float) -> list[tuple[float, tuple[int, ...]]]:
        log_p = next_logits(seed, path).log_softmax(-1)
        best = log_p.topk(k)
        return [
            (score + s, (*path, t))
            for s, t in zip(best.values.tolist(), best.indices.tolist(), strict=True)
        ]

    frontier = children((), 0.0)
    candidates = list(frontier)
    for _ in range(depth - 1):
        born = [child for score, path in frontier for child in children(path, score)]
        candidates += born
        frontier = sorted(born, reverse=True)[:k]
    return {path for _, path in sorted(candidates, reverse=True)[:total]}


@settings(max_examples=80, deadline=None, derandomize=True)
@given(
    seeds=st.lists(st.integers(0, 10**6), min_size=1, max_size=3),
    depth=st.integers(1, 5),
    k=st.integers(2, 5),
    data=st.data(),
)
def test_grow_is_eagle2(seeds: list[int], depth: int, k: int, data: st.DataObject) -> None:
    nodes = data.draw(st.integers(1, k + (depth - 1) * k * k))
    draft = grow(PathDrafter(seeds), depth, nodes, Best(k))
    assert draft.nodes == nodes
    for row, seed in enumerate(seeds):
        paths = paths_of(draft, row)
        assert set(paths) == eagle2(seed, depth, k, nodes)
        assert draft.depths[row].tolist() == [0, *(len(path) for path in paths)]
        assert all(p < child for child, p in enumerate(draft.parents[row].tolist(), 1))


@settings(max_examples=30, deadline=None, derandomize=True)
@given(seeds=st.lists(st.integers(0, 10**6), min_size=1, max_size=3), depth=st.integers(1, 6))
def test_a_chain_is_the_narrowest_tree(seeds: list[int], depth: int) -> None:
    draft = grow(PathDrafter(seeds), depth, depth, Best(1))
    for row, seed in enumerate(seeds):
        path: tuple[int, ...] = ()
        for _ in range(depth):
            path = (*path, int(next_logits(seed, path).argmax()))
        assert tuple(draft.tokens[row].tolist()) == path
    assert draft.visible[0].tolist() == [
        [i >= j for j in range(depth + 1)] for i in range(depth + 1)
    ]


@st.composite
def trees(draw: st.DrawFn) -> list[list[int]]:
    nodes: set[tuple[int, ...]] = set()
    for _ in range(draw(st.integers(1, 8))):
        parent = draw(st.sampled_from(sorted(nodes | {()})))
        nodes.add((*parent, draw(st.integers(0, 4))))
    return draw(st.permutations([list(node) for node in nodes]))


@settings(max_examples=80, deadline=None, derandomize=True)
@given(choices=trees(), seeds=st.lists(st.integers(0, 999), min_size=1, max_size=2),
       room=st.integers(1, 9))  # fmt: skip
def test_static_tree_has_the_given_nodes(
    choices: list[list[int]], seeds: list[int], room: int
) -> None:
    draft = StaticTree(choices, GREEDY).draft(PathDrafter(seeds), len(seeds), room, [])
    wanted = [choice for choice in choices if len(choice) <= room]
    for row, seed in enumerate(seeds):
        expected = set()
        for choice in wanted:
            path: tuple[int, ...] = ()
            for rank in choice:
                path = (*path, int(next_logits(seed, path).sort(descending=True).indices[rank]))
            expected.add(path)
        assert len(paths_of(draft, row)) == len(wanted)
        assert set(paths_of(draft, row)) == expected
    assert draft.depth == max(len(choice) for choice in wanted)


@settings(max_examples=80, deadline=None, derandomize=True)
@given(data=st.data(), batch=st.integers(1, 3), n=st.integers(0, 9))
def test_visible_are_ancestors_and_self(data: st.DataObject, batch: int, n: int) -> None:
    parents = [[data.draw(st.integers(0, node)) for node in range(n)] for _ in range(batch)]
    tokens = torch.zeros(batch, n, dtype=torch.int64)
    draft = tree_draft(tokens, torch.tensor(parents, dtype=torch.int64).reshape(batch, n), n)
    for row in range(batch):
        for node in range(n + 1):
            line, at = {node}, node
            while at:
                at = parents[row][at - 1]
                line.add(at)
            assert set(draft.visible[row, node].nonzero().flatten().tolist()) == line
            assert int(draft.depths[row, node]) == len(line) - 1


@settings(max_examples=80, deadline=None, derandomize=True)
@given(seed=st.integers(0, 999), data=st.data())
def test_greedy_acceptance_walks_the_tree(seed: int, data: st.DataObject) -> None:
    n = data.draw(st.integers(0, 10))
    parents = [data.draw(st.integers(0, node)) for node in range(n)]
    tokens = [data.draw(st.integers(-1, 2)) for _ in range(n)]
    best = [data.draw(st.integers(0, 2)) for _ in range(n + 1)]
    logits = torch.nn.functional.one_hot(torch.tensor([best]), 3).float()
    draft = tree_draft(torch.tensor([tokens], dtype=torch.int64),
                       torch.tensor([parents], dtype=torch.int64), n)  # fmt: skip
    [verdict] = accept_greedy(draft, logits)

    path, node = [0], 0
    while True:
        children = [c for c in range(1, n + 1) if parents[c - 1] == node]
        right = [c for c in children if tokens[c - 1] == best[node]]
        if not right:
            break
        node = right[0]
        path.append(node)
    assert verdict.path == path
    assert verdict.tokens == [tokens[c - 1] for c in path[1:]] + [best[node]]
    assert verdict.accepted == len(path) - 1
    assert verdict.drafted == sum(token >= 0 for token in tokens)
    offered = [int(draft.depths[0, c + 1]) for c, token in enumerate(tokens) if token >= 0]
    assert verdict.depth == max(offered, default=0)


def test_the_recorded_depth_is_that_of_the_kept_nodes() -> None:
    """Six levels were grown, but only the six best nodes are offered."""
    draft = grow(PathDrafter([3]), 6, 6, Best(4))
    longest = max(len(path) for path in paths_of(draft, 0))
    assert longest < 6
    logits = torch.zeros(1, 7, VOCAB)
    assert accept_greedy(draft, logits)[0].depth == longest


def test_empty_and_padded_chains() -> None:
    assert no_draft(3, torch.device("cpu")).visible.tolist() == [[[True]]] * 3
    draft = chain_draft(torch.tensor([[4, 5, -1], [-1, -1, -1]]))
    logits = torch.zeros(2, 4, VOCAB)
    logits[0, 0, 4] = logits[0, 1, 5] = logits[0, 2, 6] = logits[1, 0, 7] = 1.0
    one, two = accept_greedy(draft, logits)
    assert (one.tokens, one.drafted, one.depth) == ([4, 5, 6], 2, 2)
    assert (two.tokens, two.drafted, two.depth) == ([7], 0, 0)


def adaptive(rule: AdaptiveRule, **settings: Any) -> Adaptive:
    return Adaptive(AdaptiveConfig(name="adaptive", rule=rule, **settings), GREEDY)


def test_ema_climbs_and_falls_as_sglang_does() -> None:
    method = adaptive(AdaptiveRule.ema, candidates=[1, 3, 5, 7], start_draft_len=3)
    average, index, lengths = 3.0, 1, [1, 3, 5, 7]
    for number in range(1, 101):
        accepted = [lengths[index]] if number <= 60 else [0]
        average += 0.2 * (accepted[0] - average)
        method.observe(lengths[index], accepted, 0.01)
        if number >= 10 and (number - 10) % 5 == 0:
            if index and average <= lengths[index - 1] - 0.75:
                index -= 1
            elif index < 3 and average > lengths[index] - 0.5:
                index += 1
        assert method.rule.depth() == lengths[index]
        if number == 60:
            assert lengths[index] == 7
    assert lengths[index] == 1


@pytest.mark.parametrize("threshold", [0.0, 0.05, 0.3, 1.0])
def test_confidence_ends_the_draft_under_the_threshold(threshold: float) -> None:
    method = adaptive(AdaptiveRule.confidence, threshold=threshold, max_draft_len=6)
    for seed in range(20):
        draft = method.draft(PathDrafter([seed]), 1, 99, [])
        path: tuple[int, ...] = ()
        p = 1.0
        while len(path) < 6:
            best = next_logits(seed, path).softmax(-1).max(-1)
            path, p = (*path, int(best.indices)), p * float(best.values)
            if p < threshold:
                break
        assert tuple(draft.tokens[0].tolist()) == path


def rounds_of_throughput(
    level_s: float, accept: Callable[[float], float], sure: Callable[[], float]
) -> list[tuple[int, int]]:
    """(depth, accepted) of 400 rounds; a round takes 1 + level_s * depth seconds.

    A drafted token is right with probability `accept(claim)`, `sure` being the drafter's claim.
    """
    rule = Throughput(AdaptiveConfig(name="adaptive", max_draft_len=8))
    draw = random.Random(1)
    seen = []
    for _ in range(400):
        longest, depth, score = rule.depth(), 0, 0.0
        right: list[bool] = []
        while True:
            claim = sure()
            right.append(draw.random() < accept(claim))
            depth, score = depth + 1, score + math.log(claim)
            if depth == longest or not rule.keep_going(score):
                break
        accepted = [*right, False].index(False)
        rule.observe(depth, [accepted], 1 + level_s * depth)
        seen.append((depth, accepted))
    return seen


@pytest.mark.parametrize(("accept", "level_s", "best"), [
    (0.95, 0.02, 8), (0.9, 0.25, None), (0.3, 0.5, 1), (0.05, 0.2, 1),
])  # fmt: skip
def test_throughput_finds_the_best_depth(accept: float, level_s: float, best: int | None) -> None:
    """A drafter that is always sure, and right with `accept`: one depth is best."""
    late = rounds_of_throughput(level_s, lambda claim: accept, lambda: 1.0)[200:]
    rate = [
        sum(accept**k for k in range(depth + 1)) / (1 + level_s * depth) for depth in range(1, 9)
    ]
    chosen = [depth for depth, _ in late]
    assert sum(rate[depth - 1] for depth in chosen) / len(chosen) > 0.95 * max(rate)
    if best is not None:
        assert max(set(chosen), key=chosen.count) == best


@pytest.mark.parametrize("boast", [1.0, 0.5])
def test_throughput_beats_every_fixed_depth_where_the_drafter_knows_its_chances(
    boast: float,
) -> None:
    """Half the tokens are sure and half are guesses; `boast` under 1 claims too much for these."""
    draw = random.Random(2)
    level_s, chances = 0.15, (0.98, 0.2)
    late = rounds_of_throughput(
        level_s,
        lambda claim: claim if claim > 0.9 else claim ** (1 / boast),
        lambda: chances[0] if draw.random() < 0.5 else chances[1] ** boast,
    )[100:]
    reached = sum(1 + accepted for _, accepted in late) / sum(1 + level_s * d for d, _ in late)
    mean = sum(chances) / 2
    fixed = [sum(mean**k for k in range(d + 1)) / (1 + level_s * d) for d in range(1, 9)]
    assert reached > 1.02 * max(fixed)


@pytest.mark.parametrize("rule", AdaptiveRule)
def test_adaptive_stays_within_the_room(rule: AdaptiveRule) -> None:
    method = adaptive(rule, max_draft_len=6, start_draft_len=6, threshold=0.0)
    for room in (1, 2, 3):
        assert method.draft(PathDrafter([1, 2]), 2, room, []).depth <= room
