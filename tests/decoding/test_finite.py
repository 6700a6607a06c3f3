"""Logits that are not finite end a generation in its prefill, whichever arm runs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from tiny_models import CPU, VOCAB, generic_target, lean_target, tiny_model

from eagle_bench.config.values import Proposal
from eagle_bench.decoding.build import plain_greedy
from eagle_bench.decoding.loop import Decoder
from eagle_bench.decoding.methods.method import Proposing
from eagle_bench.decoding.methods.tree import Tree
from eagle_bench.drafters.random import RandomDrafter
from eagle_bench.errors import UserError
from eagle_bench.models.sampling import Sampling
from eagle_bench.models.target import Target
from eagle_bench.records.generation import Request

PROMPT = [3, 1, 7, 4, 1]


def broken(target: Target, value: float) -> Target:
    """`target` of which token 7, the prompt's third, has an embedding of `value`."""
    target.model.model.embed_tokens.weight.data[7] = value  # type: ignore[attr-defined]
    return target


def drafting(target: Target) -> Decoder:
    method = Tree("chain", 3, 1, 3, Proposing(Proposal.greedy, Sampling()))
    return Decoder(target, RandomDrafter(VOCAB, 0, CPU), method, Sampling())


@pytest.mark.parametrize("value", [torch.nan, torch.inf])
@pytest.mark.parametrize("make", [generic_target, lean_target])
@pytest.mark.parametrize(("arm", "name"), [(plain_greedy, "baseline"), (drafting, "chain")])
def test_the_first_place_is_named(
    make: Callable[[Any], Target], value: float, arm: Callable[[Target], Decoder], name: str
) -> None:
    decoder = arm(broken(make(tiny_model()), value))
    said = rf"arm {name} \(dtype=float32\), first behind token 3 of 5 of the prompt q/0"
    with pytest.raises(UserError, match=said):
        list(decoder.generate([Request("q/0", PROMPT, 4)]))


def test_a_sampled_arm_says_it_too() -> None:
    method = Tree("chain", 3, 1, 3, Proposing(Proposal.greedy, Sampling(1.0)))
    target = broken(generic_target(tiny_model()), torch.nan)
    decoder = Decoder(target, RandomDrafter(VOCAB, 0, CPU), method, Sampling(1.0))
    with pytest.raises(UserError, match="not finite in the arm chain"):
        list(decoder.generate([Request("q/0", PROMPT, 4)]))


def test_a_prompt_without_the_broken_token_goes_on() -> None:
    decoder = plain_greedy(broken(generic_target(tiny_model()), torch.nan))
    [said] = decoder.generate([Request("q/0", [3, 1, 4], 4)])
    assert len(said.tokens) == 4
