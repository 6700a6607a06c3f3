"""A tiny target with drafters of every kind, some of which agree with it often."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from copy import deepcopy
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import torch
from tiny_models import CPU, VOCAB, WIDTH, lean_target, tiny_model
from torch.nn.functional import cross_entropy
from transformers import Qwen3Config

from eagle_bench.config.decoding import AdaptiveConfig
from eagle_bench.config.values import AdaptiveRule, Proposal
from eagle_bench.decoding.loop import Decoder
from eagle_bench.decoding.methods.adaptive import Adaptive
from eagle_bench.decoding.methods.method import Method, Proposing
from eagle_bench.decoding.methods.static_tree import StaticTree
from eagle_bench.decoding.methods.tree import Tree
from eagle_bench.decoding.one_pass import OnePass
from eagle_bench.drafters.compiled_eagle3 import CompiledEagle3Drafter
from eagle_bench.drafters.dflash import DFlashDrafter
from eagle_bench.drafters.draft_model import DraftModelDrafter
from eagle_bench.drafters.eagle3 import Eagle3Drafter
from eagle_bench.drafters.heads.block import BlockConfig, BlockHead
from eagle_bench.drafters.heads.blocks import block_states, use_block_attention
from eagle_bench.drafters.heads.compiled import CompiledLevels
from eagle_bench.drafters.heads.config import HeadConfig
from eagle_bench.drafters.heads.head import EagleHead
from eagle_bench.drafters.heads.levels import FirstLevel, NextLevel
from eagle_bench.drafters.heads.ttt import ttt_attention, ttt_hidden
from eagle_bench.drafters.nothing import NoDrafter
from eagle_bench.drafters.oracle import OracleDrafter
from eagle_bench.drafters.p_eagle import PEagleDrafter
from eagle_bench.drafters.prompt_lookup import PromptLookupDrafter
from eagle_bench.drafters.random import RandomDrafter
from eagle_bench.models.cache import KVCache
from eagle_bench.models.lean_target import LeanTarget
from eagle_bench.models.sampling import Sampling
from eagle_bench.records.generation import Generation, Request

GREEDY = Sampling()
DRAFT_VOCAB = 40
LEVELS = 5
MEDUSA = [[0], [1], [2], [0, 0], [0, 1], [1, 0], [0, 0, 0], [0, 0, 2], [1, 0, 1], [0, 0, 0, 0]]
CHAINS = ("chain1", "chain4", "ema", "confidence", "throughput")
TREES = ("tree", "wide", "static_tree")


@cache
def model() -> Any:
    return tiny_model(seed=5)


@cache
def target() -> LeanTarget:
    return lean_target(model())


def target_with(eos_ids: Iterable[int]) -> LeanTarget:
    """The same target, shared weights, that ends at `eos_ids`."""
    twin = deepcopy_shell(target())
    twin.spec = replace(target().spec, eos_ids=frozenset(eos_ids))
    return twin


def deepcopy_shell(of: LeanTarget) -> LeanTarget:
    twin = LeanTarget.__new__(LeanTarget)
    twin.__dict__.update(of.__dict__)
    return twin


def head_config() -> HeadConfig:
    return HeadConfig(
        hidden_size=WIDTH, target_hidden_size=WIDTH, num_heads=4, num_kv_heads=2, head_dim=8,
        intermediate_size=40, vocab_size=VOCAB, draft_vocab_size=DRAFT_VOCAB,
    )  # fmt: skip


@cache
def random_head() -> EagleHead:
    torch.manual_seed(11)
    head = EagleHead(head_config())
    head.set_vocabulary(torch.randperm(VOCAB)[:DRAFT_VOCAB].sort().values)
    return head.eval().requires_grad_(False)


def lessons(head: EagleHead) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Texts `[8, n]` of the target, their features but the last, and labels `[8, n - 2]`."""
    prompts = [prompt_of(seed, 6) for seed in range(8)]
    texts = torch.tensor([prompt + baseline(prompt, 40) for prompt in prompts])
    features = torch.cat([features_of(text) for text in texts.tolist()])[:, :-1].clone()
    draft_id = torch.full((VOCAB,), -100)
    draft_id[head.to_target(torch.arange(DRAFT_VOCAB))] = torch.arange(DRAFT_VOCAB)
    return texts, features, draft_id[texts[:, 2:]]


@cache
def fitted_head() -> EagleHead:
    """Overfitted to a few of the target's own outputs, so that it is right now and then."""
    head = deepcopy(random_head()).train().requires_grad_(True)
    texts, features, labels = lessons(head)
    positions = torch.arange(texts.shape[1] - 1)[None]
    embeds = target().embed(texts[:, 1:]).clone()
    optimizer = torch.optim.AdamW(head.parameters(), 5e-3)
    for _ in range(60):
        states = head(embeds, head.fuse(features), positions)
        loss = cross_entropy(head.logits(states)[:, :-1].flatten(0, 1), labels.flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return head.eval().requires_grad_(False)


@cache
def random_slots() -> EagleHead:
    """A P-EAGLE head of two layers, as it begins."""
    torch.manual_seed(12)
    head = EagleHead(replace(head_config(), num_layers=2, mask_token=7))
    head.set_vocabulary(torch.randperm(VOCAB)[:DRAFT_VOCAB].sort().values)
    return head.eval().requires_grad_(False)


@cache
def random_block() -> BlockHead:
    """A DFlash head of two layers that drafts up to seven tokens, as it begins."""
    torch.manual_seed(13)
    layers = Qwen3Config(
        hidden_size=WIDTH, intermediate_size=40, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, head_dim=8, vocab_size=VOCAB,
    )  # fmt: skip
    aux = target().spec.aux_layers
    config = BlockConfig(layers, 8, 7, aux, from_anchor=False)
    return BlockHead(config, len(aux) * WIDTH, None).eval().requires_grad_(False)


@cache
def fitted_slots() -> EagleHead:
    """The same, overfitted to a few of the target's own outputs."""
    head = deepcopy(random_slots()).train().requires_grad_(True)
    for attention in (layer.self_attn for layer in head.layers):
        attention.attend = ttt_attention
    texts, features, labels = lessons(head)
    embeds = target().embed(texts).clone()
    slot = target().embed(torch.tensor([[7]])).clone()
    optimizer = torch.optim.AdamW(head.parameters(), 5e-3)
    for _ in range(40):
        loss = torch.zeros(())
        for step, states in enumerate(ttt_hidden(head, embeds, features, 3, slot)):
            logits = head.logits(states[:, : -1 - step]).flatten(0, 1)
            loss = loss + cross_entropy(logits, labels[:, step:].flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return head.variant(head.config.reading).eval().requires_grad_(False)


@cache
def fitted_block() -> BlockHead:
    """The same, overfitted to a few of the target's own outputs."""
    head = deepcopy(random_block()).train().requires_grad_(True)
    use_block_attention(head)
    prompts = [prompt_of(seed, 6) for seed in range(8)]
    texts = torch.tensor([prompt + baseline(prompt, 40) for prompt in prompts])
    features = torch.cat([features_of(text) for text in texts.tolist()])[:, :-1].clone()
    roots = torch.arange(1, 38).expand(len(texts), -1)
    labels = texts[:, 1:].unfold(1, head.config.levels, 1)[:, 1:38]

    def embed(ids: torch.Tensor) -> torch.Tensor:
        return target().embed(ids).clone()

    optimizer = torch.optim.AdamW(head.parameters(), 5e-3)
    for _ in range(40):
        logits = target().lm_head(block_states(head, embed, texts, features, roots))
        loss = cross_entropy(logits.flatten(0, 2), labels.flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    ready = BlockHead(head.config, head.fc.in_features, None)
    ready.load_state_dict(head.state_dict())
    return ready.eval().requires_grad_(False)


def features_of(tokens: list[int]) -> torch.Tensor:
    step, _ = prefilled(tokens)
    assert step.features is not None
    return step.features


def prefilled(tokens: list[int]) -> tuple[Any, KVCache]:
    """One call of the target over `tokens` on a fresh cache, committed."""
    fresh = KVCache(1, len(tokens))
    ids = torch.tensor([tokens])
    step = target().forward(ids, torch.arange(len(tokens))[None], None, fresh, features=True)
    fresh.commit_all()
    return step, fresh


def noisy_model(noise: float, seed: int) -> Any:
    twin = deepcopy(model())
    draw = torch.Generator().manual_seed(seed)
    for parameter in twin.parameters():
        parameter.data = parameter + noise * parameter.std() * torch.randn(
            parameter.shape, generator=draw
        )
    return twin


@dataclass(frozen=True)
class Entry:
    """A drafter's row in the contract suite: how it is made, and what it can do.

    `branches`: it proposes several children of a node. `head`: it reads the target's features.
    `settled`: what it drafts depends on its context alone. `parallel`: in one pass.
    """

    make: Callable[[], Any]
    branches: bool = True
    head: bool = False
    settled: bool = True
    parallel: bool = False


def other_model() -> LeanTarget:
    return lean_target(tiny_model("Qwen2", seed=9, num_hidden_layers=2, vocab_size=VOCAB + 4))


def by_levels(k: int) -> CompiledEagle3Drafter:
    """The fitted head through the levels that `compile=draft` compiles, here as they are."""
    shape = (fitted_head().traceable(), target()._embedding)
    room = target().spec.max_positions
    levels = CompiledLevels(FirstLevel(*shape, 1, k, room), NextLevel(*shape, k, k, room), k, 0.0)
    return CompiledEagle3Drafter(fitted_head(), target(), "levels", levels)


DRAFTERS = {
    "random": Entry(lambda: RandomDrafter(VOCAB, 3, CPU), settled=False),
    "eagle3": Entry(lambda: Eagle3Drafter(random_head(), target()), head=True),
    "fitted": Entry(lambda: Eagle3Drafter(fitted_head(), target()), head=True),
    "levels": Entry(lambda: by_levels(1), head=True),
    "wide_levels": Entry(lambda: by_levels(3), head=True),
    "p_eagle": Entry(lambda: PEagleDrafter(random_slots(), target(), LEVELS), parallel=True),
    "fitted_p_eagle": Entry(lambda: PEagleDrafter(fitted_slots(), target(), LEVELS), parallel=True),
    "dflash": Entry(lambda: DFlashDrafter(random_block(), target()), parallel=True),
    "fitted_dflash": Entry(lambda: DFlashDrafter(fitted_block(), target()), parallel=True),
    "draft_model": Entry(lambda: DraftModelDrafter(other_model(), VOCAB)),
    "noisy": Entry(lambda: DraftModelDrafter(lean_target(noisy_model(0.02, 1)), VOCAB)),
    "itself": Entry(lambda: DraftModelDrafter(target(), VOCAB)),
    "prompt_lookup": Entry(lambda: PromptLookupDrafter(3, 1, CPU), branches=False),
    "oracle": Entry(lambda: OracleDrafter(CPU), branches=False),
}
BRANCHING = tuple(name for name, entry in DRAFTERS.items() if entry.branches)
COPYING = tuple(name for name, entry in DRAFTERS.items() if not entry.branches)
SETTLED = tuple(name for name, entry in DRAFTERS.items() if entry.settled)
HEADS = tuple(name for name, entry in DRAFTERS.items() if entry.head)


@cache
def drafter(name: str) -> Any:
    return DRAFTERS[name].make()


def method(name: str, sampling: Sampling = GREEDY, proposal: Proposal = Proposal.greedy) -> Method:
    how = Proposing(proposal, sampling)
    match name:
        case "chain1":
            return Tree("chain", 1, 1, 1, how)
        case "chain4":
            return Tree("chain", 4, 1, 4, how)
        case "tree":
            return Tree("tree", 4, 3, 9, how)
        case "wide":
            return Tree("tree", 2, 6, 40, how)
        case "static_tree":
            return StaticTree(MEDUSA, how)
    config = AdaptiveConfig(
        name="adaptive", rule=AdaptiveRule(name), max_draft_len=5, start_draft_len=2,
        candidates=[1, 3, 4], threshold=0.2, warmup_rounds=2, update_every=1,
    )  # fmt: skip
    return Adaptive(config, how)


def arm(of: LeanTarget, by: Any, shape: str) -> Any:
    """The greedy arm that drafts `shape`; one without a cache for `one_pass`."""
    if shape == "one_pass":
        return OnePass(of, by, 4, ignore_eos=False)
    return Decoder(of, by, method(shape), GREEDY)


def prompt_of(seed: int, length: int) -> list[int]:
    draw = torch.Generator().manual_seed(seed)
    return torch.randint(VOCAB, (length,), generator=draw).tolist()


@cache
def _long_baseline(prompt: tuple[int, ...], gen_len: int) -> list[int]:
    nothing = Tree("baseline", 0, 1, 0, Proposing(Proposal.greedy, GREEDY))
    decoder = Decoder(target(), NoDrafter(), nothing, GREEDY)
    [generation] = decoder.generate([Request("", list(prompt), gen_len)])
    return generation.tokens


def baseline(prompt: list[int], gen_len: int) -> list[int]:
    """The greedy baseline's tokens, EOS ignored."""
    room = target().spec.max_positions - len(prompt)
    return _long_baseline(tuple(prompt), room)[:gen_len]


def until_eos(tokens: list[int], eos_ids: Iterable[int]) -> list[int]:
    """`tokens` up to and with the first EOS."""
    ends = [place for place, token in enumerate(tokens, 1) if token in set(eos_ids)]
    return tokens[: ends[0]] if ends else tokens


def generate(decoder: Any, requests: list[Request], batch_size: int) -> dict[str, Generation]:
    return {each.request.key: each for each in decoder.generate(requests, batch_size)}
