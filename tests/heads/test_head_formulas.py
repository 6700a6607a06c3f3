"""The head against its formulas, written down slowly and independently."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import head_oracle as oracle
import pytest
import torch
from head_maker import HIDDEN, VOCAB, Tiny, load_head, tiny, tiny_eagle1

from eagle_bench.config.values import Attention
from eagle_bench.models.cache import KVCache

TOKENS, STEPS, OFFSET = 6, 3, 5
LLAMA3 = {
    "rope_type": "llama3",
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 64,
}
YARN = {"type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32}

VARIANTS: dict[str, dict[str, Any]] = {
    "plain": {},
    "head_dim from the config": {"head_dim": 12},
    "one kv head": {"kv_heads": 1},
    "biases": {"bias": True},
    "qk norm": {"qk_norm": True},
    "narrower head": {"target_hidden": 48},
    "two layers": {"layers": 2},
    "norm before residual": {"norm_before_residual": True},
    "norm before fc": {"norm_before_fc": True},
    "norm per feature": {"fc_norm": True},
    "normed feedback": {"norm_output": True},
    "all flags": {
        "norm_before_residual": True,
        "norm_before_fc": True,
        "norm_output": True,
        "layers": 2,
    },
    "whole vocabulary": {"draft": VOCAB},
    "latent": {"mla": True},
    "latent, two layers": {"mla": True, "layers": 2, "norm_before_residual": True},
    "rope theta": {"theta": 1e6},
    "linear": {"scaling": {"type": "linear", "factor": 4.0}},
    "llama3": {"theta": 5e5, "scaling": LLAMA3},
    "yarn": {"scaling": YARN},
    "half rotated": {"partial": 0.5, "theta": 1e6},
    "half rotated, yarn": {"partial": 0.5, "scaling": YARN},
    "window of one": {"window": 1},
    "window of three": {"window": 3, "layers": 2},
    "latent, window of three": {"mla": True, "window": 3},
    "latent, llama3": {"mla": True, "scaling": LLAMA3},
}


def by_oracle(
    made: Tiny, embeds: torch.Tensor, features: torch.Tensor
) -> tuple[torch.Tensor, list[torch.Tensor]]:
    """Fed-back states of the context and of a chain of `STEPS` drafts after it."""
    hidden = list(features)
    if made.shape.get("generation", 3) == 3:
        hidden = [oracle.fuse(f, made.weights, made.shape) for f in features]
    positions = [OFFSET + i for i in range(TOKENS)]
    logits = []
    for step in range(STEPS + 1):
        count = TOKENS + step
        window = made.shape["window"] or count
        sees = [list(range(max(0, i + 1 - window), i + 1)) for i in range(count)]
        out, scores = oracle.forward(
            list(embeds[:count]), hidden, positions, sees, made.weights, made.shape
        )
        hidden = [*hidden, out[-1]]
        positions = [*positions, positions[-1] + 1]
        logits += scores[-1:]
    return torch.stack(hidden[TOKENS:]), logits


def by_head(
    path: str, embeds: torch.Tensor, features: torch.Tensor, attention: Attention
) -> tuple[torch.Tensor, list[torch.Tensor]]:
    """The same with the module, incrementally on the house's cache."""
    head = load_head(path, attention=attention).head
    cache = KVCache(1, 32)
    positions = torch.arange(OFFSET, OFFSET + TOKENS)[None]
    with torch.inference_mode():
        out = head(embeds[None, :TOKENS], head.fuse(features[None]), positions, None, cache)
        cache.commit_all()
        states = [out[:, -1:]]
        for step in range(STEPS):
            place = positions[:, -1:] + 1 + step
            embed = embeds[None, TOKENS + step : TOKENS + step + 1]
            states.append(head(embed, states[-1], place, None, cache))
        logits = []
        if head.lm_head is not None:
            logits = [head.logits(state)[0, 0] for state in states]
    return torch.cat(states, dim=1)[0], logits


def inputs(made: Tiny) -> tuple[torch.Tensor, torch.Tensor]:
    draw = torch.Generator().manual_seed(9)
    width = made.config.get("target_hidden_size", HIDDEN)
    parts = 3 if made.shape.get("generation", 3) == 3 else 1
    embeds = torch.randn(TOKENS + STEPS, HIDDEN, generator=draw)
    return embeds, torch.randn(TOKENS, parts * width, generator=draw)


@pytest.mark.parametrize("variant", VARIANTS)
def test_context_and_drafts_equal_the_formulas(variant: str, tmp_path: Path) -> None:
    made = tiny(**VARIANTS[variant])
    embeds, features = inputs(made)
    expected, expected_logits = by_oracle(made, embeds, features)
    got, logits = by_head(made.write(tmp_path), embeds, features, Attention.sdpa)
    torch.testing.assert_close(got, expected, atol=3e-5, rtol=1e-4)
    torch.testing.assert_close(logits, expected_logits, atol=3e-5, rtol=1e-4)


def test_dynamic_rope_stretches_with_the_context(tmp_path: Path) -> None:
    """Beyond its positions; in one call, since cached keys keep the base of their time."""
    made = tiny(scaling={"rope_type": "dynamic", "factor": 2.0}, max_positions=4)
    embeds, features = inputs(made)
    expected, _ = by_oracle(made, embeds, features)
    got, _ = by_head(made.write(tmp_path), embeds, features, Attention.sdpa)
    torch.testing.assert_close(got[0], expected[0], atol=3e-5, rtol=1e-4)


@pytest.mark.parametrize("original", [4, 64])
def test_longrope_turns_by_the_long_factors_beyond_its_original_context(
    original: int, tmp_path: Path
) -> None:
    """In one call, as above; the context that the head was made for is longer than either."""
    factors = {"short_factor": [1.0, 1.5, 2.0, 2.5], "long_factor": [2.0, 4.0, 6.0, 8.0]}
    scaling = {"rope_type": "longrope", "factor": 4.0, "original_max_position_embeddings": original}
    made = tiny(scaling=scaling | factors)
    embeds, features = inputs(made)
    assert 4 < len(embeds) < 64
    expected, _ = by_oracle(made, embeds, features)
    got, _ = by_head(made.write(tmp_path), embeds, features, Attention.sdpa)
    torch.testing.assert_close(got[0], expected[0], atol=3e-5, rtol=1e-4)


def test_eagle1_equals_its_formulas(tmp_path: Path) -> None:
    made = tiny_eagle1()
    embeds, features = inputs(made)
    expected, _ = by_oracle(made, embeds, features)
    got, _ = by_head(made.write(tmp_path), embeds, features, Attention.sdpa)
    torch.testing.assert_close(got, expected, atol=3e-5, rtol=1e-4)


@pytest.mark.parametrize("mla", [False, True])
@pytest.mark.parametrize("attention", list(Attention))
@pytest.mark.filterwarnings("ignore:flex_attention called without torch.compile")
def test_every_kernel_gives_the_same_numbers(
    attention: Attention, mla: bool, tmp_path: Path
) -> None:
    made = tiny(mla=mla)
    embeds, features = inputs(made)
    expected, _ = by_oracle(made, embeds, features)
    got, _ = by_head(made.write(tmp_path), embeds, features, attention)
    torch.testing.assert_close(got, expected, atol=3e-5, rtol=1e-4)


@pytest.mark.parametrize("mla", [False, True])
@pytest.mark.parametrize("attention", list(Attention))
@pytest.mark.filterwarnings("ignore:flex_attention called without torch.compile")
def test_a_tree_mask_equals_its_branches(attention: Attention, mla: bool, tmp_path: Path) -> None:
    """Two children of one root in one call, in a batch of rows with different masks."""
    made = tiny(mla=mla)
    embeds, features = inputs(made)
    head = load_head(made.write(tmp_path), attention=attention).head
    hidden = head.fuse(features[None])
    with torch.inference_mode():
        mask = torch.ones(2, 1, 3, 3, dtype=torch.bool).tril()
        mask[0, 0, 2, 1] = False
        twice = (2, -1, -1)
        places = torch.tensor([[0, 1, 1], [0, 1, 2]])
        both = head(embeds[None, :3].expand(twice), hidden[:, :3].expand(twice), places, mask)
        branch = torch.tensor([0, 2])
        alone = head(embeds[None, branch], hidden[:, branch], torch.tensor([[0, 1]]))
        chain = head(embeds[None, :3], hidden[:, :3], torch.arange(3)[None])
    torch.testing.assert_close(both[0, 2], alone[0, 1], atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(both[1], chain[0], atol=1e-5, rtol=1e-5)


def test_the_latent_cache_is_smaller_by_what_the_report_says(tmp_path: Path) -> None:
    loaded = load_head(tiny(mla=True).write(tmp_path))
    cache = KVCache(1, 32)
    loaded.head(
        torch.randn(1, 4, HIDDEN), torch.randn(1, 4, HIDDEN), torch.arange(4)[None], None, cache
    )
    assert cache.nbytes == 32 * loaded.report.cache_bytes_per_token
    assert loaded.report.cache_bytes_per_token == 4 * (10 + 1)
    assert loaded.report.plain_cache_bytes_per_token == 4 * 2 * 2 * 8


def test_bfloat16_keeps_rope_exact(tmp_path: Path) -> None:
    """Casting a head must not cast its rotary frequencies."""
    head = load_head(tiny().write(tmp_path)).head
    far = torch.tensor([[4093]])
    before = head.rope(far, torch.float32)
    head.bfloat16()
    torch.testing.assert_close(head.rope(far, torch.float32), before, atol=0, rtol=0)


@pytest.mark.parametrize("variant", ["qk norm", "all flags", "norm per feature", "latent"])
def test_a_frozen_head_says_the_same(variant: str, tmp_path: Path) -> None:
    made = tiny(**VARIANTS[variant])
    head = load_head(made.write(tmp_path)).head
    embeds, features = inputs(made)
    positions = torch.arange(TOKENS)[None]

    def said() -> torch.Tensor:
        return head.logits(head(embeds[None, :TOKENS], head.fuse(features[None]), positions))

    trainable = said().detach()
    head.freeze()
    assert not said().requires_grad
    torch.testing.assert_close(said(), trainable, rtol=1e-5, atol=1e-5)
