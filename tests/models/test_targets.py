"""What is each target's own: its windows, its attention, its storage."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from target_run import PARENTS, close, plain, run, texts
from tiny_models import POSITIONS, generic_target, lean_target, tiny_model

from eagle_bench.decoding.draft import tree_draft
from eagle_bench.models.cache import KVCache
from eagle_bench.models.lean_target import fits
from eagle_bench.models.mask import attention_mask


@pytest.mark.parametrize("attention", ["eager", "sdpa", "flex_attention"])
def test_attention_implementations_agree_under_a_tree_mask(attention: str) -> None:
    reference = tiny_model("Llama", seed=6)
    model = tiny_model("Llama", seed=6, attn_implementation=attention)
    tree = tree_draft(torch.tensor([[5, 6, 7, 8, 9, 10, 11]] * 2), torch.tensor([PARENTS] * 2), 4)
    nodes = texts(2, 8)
    steps = []
    for target in (lean_target(reference), generic_target(model)):
        cache = KVCache(2, 24)
        for index, length in enumerate((7, 4)):
            window = cache.row(index)
            run(target, texts(1, length), window, 0, None)
            window.commit_all()
            cache.adopt(index, window)
        positions = torch.tensor(cache.lengths)[:, None] + tree.depths
        mask = attention_mask(cache.lengths, tree.visible)
        steps.append(target.forward(nodes, positions, mask, cache, features=True))
    close(steps[1].logits, steps[0].logits)
    close(steps[1].features, steps[0].features)


@pytest.mark.parametrize(("family", "layer_types"), [
    ("Mistral", None),
    ("Qwen2", ["full_attention", "sliding_attention"] * 4),
])  # fmt: skip
def test_sliding_window(family: str, layer_types: list[str] | None) -> None:
    settings: dict[str, Any] = {"sliding_window": 4, "num_hidden_layers": 8}
    if layer_types:
        settings |= {"layer_types": layer_types, "use_sliding_window": True}
    model = tiny_model(family, seed=7, **settings)
    assert not fits(model)
    [text] = texts(1, 14).tolist()
    full = tiny_model(family, seed=7, **settings | {"sliding_window": 64})
    expected, _ = plain(model, torch.tensor([text]))
    assert (plain(full, torch.tensor([text]))[0] - expected).abs().max() > 1e-2
    target = generic_target(model)
    cache = KVCache(1, 20)
    close(run(target, torch.tensor([text[:9]]), cache, 0, None).logits, expected[:, :9])
    cache.commit_all()
    draft = tree_draft(torch.tensor([[40, text[10], text[11], 41, text[12]]]),
                       torch.tensor([[0, 0, 2, 3, 3]]), 3)  # fmt: skip
    nodes = torch.cat((torch.tensor([[text[9]]]), draft.tokens), 1)
    mask = attention_mask(cache.lengths, draft.visible)
    step = target.forward(nodes, 9 + draft.depths, mask, cache, features=False)
    close(step.logits[0, [0, 2, 3, 5]], expected[0, 9:13])


def test_a_lean_forward_shares_the_weights() -> None:
    model = tiny_model("Qwen2", seed=8)
    before = model(texts(1, 5)).logits
    target = lean_target(model)
    q_proj = model.model.layers[3].self_attn.q_proj.weight
    assert q_proj.data_ptr() == target._layers[3].qkv.weight.data_ptr()
    assert torch.equal(model(texts(1, 5)).logits, before)


def test_lean_reaches_the_last_position() -> None:
    target = lean_target(tiny_model("Llama"))
    step = run(target, texts(1, POSITIONS), KVCache(1, POSITIONS), 0, None)
    assert bool(step.logits.isfinite().all())
