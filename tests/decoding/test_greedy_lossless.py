"""At temperature 0 every method with every drafter says what the baseline says."""

from __future__ import annotations

from itertools import product

import pytest
import tiny_world as world
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_models import POSITIONS

from eagle_bench.config.values import Proposal
from eagle_bench.decoding.loop import Decoder
from eagle_bench.decoding.methods.method import Proposing
from eagle_bench.decoding.methods.tree import Tree
from eagle_bench.decoding.two_pass import TwoPass
from eagle_bench.drafters.nothing import NoDrafter
from eagle_bench.records.generation import Generation, Request

PAIRS = [
    *product(world.BRANCHING, world.CHAINS + world.TREES),
    *product(world.COPYING, world.CHAINS),
    *product(world.HEADS, ["one_pass"]),
]


@st.composite
def workloads(draw: st.DrawFn) -> tuple[list[Request], list[int], int]:
    """Requests, EOS ids taken from what will be said, and a batch size."""
    requests = []
    for number in range(draw(st.integers(1, 5))):
        length = draw(st.integers(1, 12) | st.integers(POSITIONS - 14, POSITIONS - 1))
        most = min(POSITIONS - length, 14)
        gen_len = draw(st.integers(1, most) | st.just(most))
        prompt = world.prompt_of(draw(st.integers(0, 60)), length)
        requests.append(Request(f"p{number}", prompt, gen_len))
    said = [world.baseline(each.tokens, each.gen_len) for each in requests]
    eos_ids = draw(st.lists(st.sampled_from([t for tokens in said for t in tokens]), max_size=2))
    return requests, eos_ids, draw(st.integers(1, 4))


def check_counts(generation: Generation) -> None:
    """What `metrics.md` section 1 promises of every generation."""
    assert len(generation.tokens) <= generation.request.gen_len
    assert generation.target_calls == len(generation.rounds) + 1
    verified = sum(length + 1 for length in generation.accept_lengths)
    assert len(generation.tokens) == 1 + verified - generation.overshoot
    assert generation.overshoot >= 0
    position = 1
    for each in generation.rounds:
        assert each.position == position
        assert each.context_len == len(generation.request.tokens) + position - 1
        assert 0 <= each.accepted <= each.depth <= each.nodes
        position += each.accepted + 1
    assert 0 < generation.prefill_s <= generation.wall_s


def check_lossless(generations: dict[str, Generation], eos_ids: list[int]) -> None:
    for generation in generations.values():
        request = generation.request
        expected = world.until_eos(world.baseline(request.tokens, request.gen_len), eos_ids)
        assert generation.tokens == expected
        assert generation.stop_reason == ("eos" if expected[-1] in eos_ids else "length")
        check_counts(generation)


@pytest.mark.parametrize("name", world.BRANCHING + world.COPYING)
@settings(max_examples=20, deadline=None, derandomize=True)
@given(data=st.data())
def test_speculative_equals_baseline(name: str, data: st.DataObject) -> None:
    requests, eos_ids, batch_size = data.draw(workloads())
    shape = data.draw(st.sampled_from([method for drafter, method in PAIRS if drafter == name]))
    drafter = world.drafter(name)
    if name == "oracle":
        drafter.recorded = {r.key: world.baseline(r.tokens, r.gen_len) for r in requests}
    arm = world.arm(world.target_with(eos_ids), drafter, shape)
    generations = world.generate(arm, requests, batch_size)
    assert set(generations) == {request.key for request in requests}
    check_lossless(generations, eos_ids)


@pytest.mark.parametrize(("name", "shape"), PAIRS)
def test_every_combination_with_eos_everywhere(name: str, shape: str) -> None:
    prompts = [world.prompt_of(seed, 4 + seed) for seed in (1, 2, 3)]
    requests = [Request(str(i), prompt, 12) for i, prompt in enumerate(prompts)]
    said = world.baseline(prompts[0], 12)
    drafter = world.drafter(name)
    for place in (0, 1, 3, 11):
        eos_ids = [said[place]]
        if name == "oracle":
            drafter.recorded = {r.key: world.baseline(r.tokens, 12) for r in requests}
        arm = world.arm(world.target_with(eos_ids), drafter, shape)
        check_lossless(world.generate(arm, requests, 2), eos_ids)


def test_baseline_equals_transformers_without_cache() -> None:
    prompt = world.prompt_of(7, 5)
    tokens = list(prompt)
    for _ in range(12):
        tokens.append(int(world.model()(torch.tensor([tokens])).logits[0, -1].argmax()))
    assert world.baseline(prompt, 12) == tokens[5:]
    assert len(set(tokens[5:])) > 3, "a constant output would test little"


@settings(max_examples=15, deadline=None, derandomize=True)
@given(work=workloads())
def test_baseline_calls_once_per_token(work: tuple[list[Request], list[int], int]) -> None:
    requests, eos_ids, batch_size = work
    nothing = Tree("baseline", 0, 1, 0, Proposing(Proposal.greedy, world.GREEDY))
    decoder = Decoder(world.target_with(eos_ids), NoDrafter(), nothing, world.GREEDY)
    generations = world.generate(decoder, requests, batch_size)
    check_lossless(generations, eos_ids)
    for generation in generations.values():
        assert generation.target_calls == len(generation.tokens)
        assert generation.draft_calls == 0
        assert generation.overshoot == 0


@pytest.mark.parametrize("name", ["oracle", "itself"])
@pytest.mark.parametrize("gen_len", [2, 5, 6, 11, 13])
def test_a_drafter_that_is_always_right_is_always_accepted(name: str, gen_len: int) -> None:
    prompt = world.prompt_of(3, 6)
    drafter = world.drafter(name)
    if name == "oracle":
        drafter.recorded = {"": world.baseline(prompt, gen_len)}
    decoder = Decoder(world.target(), drafter, world.method("chain4"), world.GREEDY)
    [generation] = decoder.generate([Request("", prompt, gen_len)])
    assert all(each.accepted == each.depth == each.nodes for each in generation.rounds)
    assert len(generation.rounds) == -(-(gen_len - 1) // 5)


def test_the_fitted_drafters_are_right_now_and_then() -> None:
    """So that the tests above see accepted, rejected and partly accepted drafts."""
    requests = [Request(str(seed), world.prompt_of(seed, 6), 30) for seed in range(8)]
    for name in ("fitted", "fitted_p_eagle", "fitted_dflash", "noisy"):
        decoder = Decoder(world.target(), world.drafter(name), world.method("tree"), world.GREEDY)
        lengths = [
            length
            for generation in decoder.generate(requests, 3)
            for length in generation.accept_lengths
        ]
        assert set(lengths) >= {0, 1, 2, 3}, name


def test_draft_calls_of_a_network() -> None:
    prompt = world.prompt_of(3, 6)
    for shape, levels in (("chain4", 4), ("tree", 4), ("static_tree", 4), ("wide", 2)):
        decoder = Decoder(
            world.target(), world.drafter("eagle3"), world.method(shape), world.GREEDY
        )
        [generation] = decoder.generate([Request("", prompt, 20)])
        assert generation.draft_calls == 1 + levels * len(generation.rounds)


@pytest.mark.parametrize("name", world.HEADS)
@pytest.mark.parametrize("length", [1, 6, POSITIONS - 20])
def test_one_pass_goes_through_the_rounds_of_a_chain(name: str, length: int) -> None:
    request = Request("", world.prompt_of(3, length), 20)
    drafter = world.drafter(name)
    [chain] = world.arm(world.target(), drafter, "chain4").generate([request])
    [slow] = world.arm(world.target(), drafter, "one_pass").generate([request])
    assert (slow.tokens, slow.target_calls) == (chain.tokens, chain.target_calls)
    assert slow.rounds == chain.rounds
    prefills = sum(each.context_len > 1 for each in slow.rounds if each.depth)
    assert slow.draft_calls == prefills + sum(each.depth for each in slow.rounds)


@pytest.mark.parametrize("name", world.HEADS)
def test_two_pass_says_the_same_with_two_calls_each(name: str) -> None:
    for gen_len, length in ((1, 5), (2, 5), (17, 5), (20, POSITIONS - 20)):
        prompt = world.prompt_of(gen_len, length)
        arm = TwoPass(world.target(), world.drafter(name), 4, ignore_eos=True)
        [generation] = arm.generate([Request("", prompt, gen_len)])
        assert generation.tokens == world.baseline(prompt, gen_len)
        assert generation.target_calls == 2 * len(generation.rounds)
        verified = sum(each + 1 for each in generation.accept_lengths)
        assert gen_len == 1 + verified - generation.overshoot
        for each in generation.rounds:
            assert each.accepted <= each.depth <= max(0, POSITIONS - 1 - each.context_len)
