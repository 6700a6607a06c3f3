"""At temperature > 0 what is emitted has the target's exact distribution.

The target is a table: the logits of the next token depend on the last one. The joint counts of
the first two emitted tokens are compared with the exact joint by chi-squared. The bound: with
fixed seeds, p must exceed 1e-4, and a wrong rule must fall below 1e-9.
"""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace

import numpy as np
import pytest
import tiny_world as world
import torch
from scipy import stats
from tiny_models import CPU
from torch import Tensor

from eagle_bench.config.values import Proposal
from eagle_bench.decoding.accept import Acceptance, accept_sampled
from eagle_bench.decoding.draft import Draft
from eagle_bench.decoding.loop import Decoder
from eagle_bench.decoding.methods.method import Proposing
from eagle_bench.decoding.methods.static_tree import StaticTree
from eagle_bench.decoding.methods.tree import Tree
from eagle_bench.drafters.drafter import Proposals
from eagle_bench.drafters.nothing import NoDrafter
from eagle_bench.drafters.pick import Best, Pick
from eagle_bench.models.cache import KVCache
from eagle_bench.models.sampling import Sampling, draw
from eagle_bench.records.generation import Request

VOCAB, ROOT, DRAWS = 8, 3, 3_000
TABLE = torch.randn(VOCAB, VOCAB, generator=torch.Generator().manual_seed(1)) * 1.5
DRAFT = TABLE + torch.randn(VOCAB, VOCAB, generator=torch.Generator().manual_seed(2))
CHOICES = [[0], [1], [2], [0, 0], [0, 1], [1, 0], [1, 2], [2, 0]]
SAMPLINGS = [Sampling(0.5), Sampling(1.0), Sampling(1.5), Sampling(1.0, top_p=0.8, top_k=5)]
Rule = Callable[[Draft, Tensor, Sampling, list[np.random.Generator]], list[Acceptance]]


class TableDrafter:
    """Drafts from `DRAFT`, which is like the target but not equal to it."""

    name, needs_features, branches, calls = "table", False, True, 0

    def __init__(self) -> None:
        self.roots: list[int] = []

    def start(self, batch: int, capacity: int) -> None:
        self.roots = [0] * batch

    def prefill(self, row: int, prompt: object, first: int, features: object, key: str) -> None:
        self.roots[row] = first

    def reach(self) -> int:
        return 99

    def first(self, pick: Pick) -> Proposals:
        return Proposals(*pick(DRAFT[torch.tensor(self.roots)][:, None]))

    def extend(self, tokens: Tensor, parents: Tensor, visible: Tensor, pick: Pick) -> Proposals:
        return Proposals(*pick(DRAFT[tokens]))

    def commit(self, paths: object, emitted: list[list[int]], features: object) -> None:
        self.roots = [tokens[-1] for tokens in emitted]

    def move_row(self, source: int, target: int) -> None:
        self.roots[target] = self.roots[source]

    def resize(self, batch: int) -> None:
        self.roots = (self.roots + [0] * batch)[:batch]


def shape(name: str, proposal: Proposal, sampling: Sampling) -> Tree | StaticTree:
    how = Proposing(proposal, sampling)
    match name:
        case "chain":
            return Tree(name, 2, 1, 2, how)
        case "tree":
            return Tree(name, 2, 3, 7, how)
    return StaticTree(CHOICES, how)


def two_tokens(
    name: str, proposal: Proposal, sampling: Sampling, rule: Rule, draws: int = DRAWS
) -> np.ndarray:
    """Counts `[vocab, vocab]` of the first two tokens emitted after ROOT."""
    streams = [np.random.default_rng([7, row]) for row in range(draws)]
    drafter = TableDrafter()
    drafter.roots = [ROOT] * draws
    draft = shape(name, proposal, sampling).draft(drafter, draws, 9, streams)
    nodes = torch.cat((torch.full((draws, 1), ROOT), draft.tokens), dim=1)
    counts = np.zeros((VOCAB, VOCAB))
    for stream, verdict in zip(streams, rule(draft, TABLE[nodes], sampling, streams), strict=True):
        first = verdict.tokens[0]
        more = verdict.tokens[1:2] or [draw(sampling.distribution(TABLE[first]), stream)]
        counts[first, more[0]] += 1
    return counts


def p_value(counts: np.ndarray, sampling: Sampling) -> float:
    """Chi-squared against the exact joint; cells expecting fewer than 5 are pooled."""
    p = sampling.distribution(TABLE)
    expected = (p[ROOT][:, None] * p).numpy() * counts.sum()
    assert counts[expected == 0].sum() == 0
    rare = expected < 5
    seen = np.append(counts[~rare], counts[rare].sum())
    due = np.append(expected[~rare], expected[rare].sum())
    kept = due > 0
    return float(stats.chisquare(seen[kept], due[kept]).pvalue)


CASES = [
    (name, proposal)
    for name in ("chain", "static_tree", "tree")
    for proposal in Proposal
    if (name, proposal) != ("tree", Proposal.sample)
]


@pytest.mark.parametrize("sampling", SAMPLINGS, ids=str)
@pytest.mark.parametrize(("name", "proposal"), CASES)
def test_emitted_distribution(name: str, proposal: Proposal, sampling: Sampling) -> None:
    assert p_value(two_tokens(name, proposal, sampling, accept_sampled), sampling) > 1e-4


def takes_any_likely_child(
    draft: Draft, logits: Tensor, sampling: Sampling, streams: list[np.random.Generator]
) -> list[Acceptance]:
    """Broken: a rejected child's bonus is drawn from all of p, not from what is left of it."""
    verdicts = []
    said = sampling.distribution(logits[:, 0])
    for row, (p, stream) in enumerate(zip(said, streams, strict=True)):
        token = int(draft.tokens[row, 0])
        q = 1.0 if draft.q is None else float(draft.q[row, 0, token])
        accepted = stream.random() < float(p[token]) / q
        tokens = [token] if accepted else [draw(p, stream)]
        verdicts.append(Acceptance([0], tokens, 1, 1))
    return verdicts


def forgets_the_temperature(
    draft: Draft, logits: Tensor, sampling: Sampling, streams: list[np.random.Generator]
) -> list[Acceptance]:
    """Broken: accepts by the untempered p."""
    return accept_sampled(draft, logits, Sampling(1.0), streams)


@pytest.mark.parametrize("proposal", Proposal)
@pytest.mark.parametrize("rule", [takes_any_likely_child, forgets_the_temperature])
def test_a_broken_rule_is_found(rule: Rule, proposal: Proposal) -> None:
    sampling = Sampling(0.7)
    counts = two_tokens("chain", proposal, sampling, rule, 4 * DRAWS)
    assert p_value(counts, sampling) < 1e-9


def test_greedy_drafts_are_accepted_as_often_as_the_target_says_them() -> None:
    sampling = Sampling(1.0)
    streams = [np.random.default_rng([9, row]) for row in range(4000)]
    drafter = TableDrafter()
    drafter.roots = [ROOT] * len(streams)
    draft = shape("chain", Proposal.greedy, sampling).draft(drafter, len(streams), 1, streams)
    nodes = torch.cat((torch.full((len(streams), 1), ROOT), draft.tokens), dim=1)
    verdicts = accept_sampled(draft, TABLE[nodes], sampling, streams)
    accepted = sum(verdict.accepted for verdict in verdicts)
    p = float(sampling.distribution(TABLE[ROOT])[int(Best(1)(DRAFT[ROOT][None, None]).ids)])
    assert stats.binomtest(accepted, len(streams), p).pvalue > 1e-4


class TableTarget:
    """`TABLE` behind the target protocol."""

    spec = SimpleNamespace(device=CPU, max_positions=64, stops=frozenset[int]())

    def forward(self, tokens, positions, mask, cache, *, features, last_only=False):  # type: ignore[no-untyped-def]
        cache.advance(tokens.shape[1])
        shown = tokens[:, -1:] if last_only else tokens
        return SimpleNamespace(logits=TABLE[shown], features=None)

    def state(self, batch: int, capacity: int) -> KVCache:
        return KVCache(batch, capacity)


@pytest.mark.parametrize(("name", "proposal"), CASES)
def test_end_to_end_distribution(name: str, proposal: Proposal) -> None:
    sampling = Sampling(0.8, seed=5)
    decoder = Decoder(TableTarget(), TableDrafter(), shape(name, proposal, sampling), sampling)
    counts = np.zeros((VOCAB, VOCAB))
    for generation in decoder.generate(
        [Request(str(i), [ROOT], 2) for i in range(800)], batch_size=50
    ):
        counts[tuple(generation.tokens)] += 1
    assert p_value(counts, sampling) > 1e-4


SAMPLED = Sampling(0.9, top_p=0.95, seed=3)
REQUESTS = [Request(f"p{seed}", world.prompt_of(seed, 3 + seed), 8 + seed % 4) for seed in range(6)]


def sampled(name: str, drafter: str, requests: list[Request], batch_size: int,
            proposal: Proposal = Proposal.greedy) -> dict[str, list[int]]:  # fmt: skip
    decoder = Decoder(
        world.target(), world.drafter(drafter), world.method(name, SAMPLED, proposal), SAMPLED
    )
    made = world.generate(decoder, requests, batch_size)
    return {key: generation.tokens for key, generation in made.items()}


def sampled_baseline() -> dict[str, list[int]]:
    nothing = Tree("baseline", 0, 1, 0, Proposing(Proposal.greedy, SAMPLED))
    made = world.generate(Decoder(world.target(), NoDrafter(), nothing, SAMPLED), REQUESTS, 1)
    return {key: generation.tokens for key, generation in made.items()}


@pytest.mark.parametrize("name", world.CHAINS + world.TREES)
@pytest.mark.parametrize(
    "drafter", ["fitted", "fitted_p_eagle", "fitted_dflash", "noisy", "random"]
)
def test_sampled_output_is_the_sampled_baselines(drafter: str, name: str) -> None:
    """For any draft length, order of prompts and batch: one random number for each token."""
    expected = sampled_baseline()
    assert len({tuple(tokens) for tokens in expected.values()}) == len(REQUESTS)
    assert sampled(name, drafter, REQUESTS, 1) == expected
    assert sampled(name, drafter, REQUESTS[::-1], 3) == expected


@pytest.mark.parametrize("drafter", ["noisy", "fitted_p_eagle", "fitted_dflash"])
@pytest.mark.parametrize("name", ["chain4", "static_tree"])
def test_drawn_drafts_are_repeatable_in_any_order_and_batch(name: str, drafter: str) -> None:
    alone = sampled(name, drafter, REQUESTS, 1, Proposal.sample)
    assert sampled(name, drafter, REQUESTS[::-1], 3, Proposal.sample) == alone
    assert sampled(name, drafter, REQUESTS, 1, Proposal.sample) == alone


@pytest.mark.parametrize("drafter", ["fitted", "fitted_p_eagle"])
def test_drawn_drafts_of_a_head_leave_the_targets_distribution(drafter: str) -> None:
    """Each slot's own q: what comes after a prompt and one token more, over 480 generations."""
    prompt, warm = world.prompt_of(1, 5), Sampling(1.0, seed=11)
    method = world.method("chain4", warm, Proposal.sample)
    decoder = Decoder(world.target(), world.drafter(drafter), method, warm)
    requests = [Request(str(i), prompt, 2) for i in range(480)]
    counts = np.zeros(world.VOCAB)
    for generation in decoder.generate(requests, batch_size=48):
        counts[generation.tokens[1]] += 1
    first = warm.distribution(world.prefilled(prompt)[0].logits[0, -1])
    then = [world.prefilled([*prompt, token])[0].logits[0, -1] for token in range(world.VOCAB)]
    due = (first @ warm.distribution(torch.stack(then))).numpy() * len(requests)
    rare = due < 5
    seen = np.append(counts[~rare], counts[rare].sum())
    assert stats.chisquare(seen, np.append(due[~rare], due[rare].sum())).pvalue > 1e-4
