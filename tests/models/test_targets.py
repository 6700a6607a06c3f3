"""Both targets against transformers' plain forward: logits, features, cache, tree masks."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from tiny_models import FAMILIES, LAYERS, POSITIONS, VOCAB, generic_target, lean_target, tiny_model
from torch import Tensor

from eagle_bench.decoding.draft import tree_draft
from eagle_bench.models.cache import KVCache
from eagle_bench.models.lean_target import fits
from eagle_bench.models.mask import attention_mask
from eagle_bench.models.target import Step

PARENTS = [0, 0, 1, 1, 2, 3, 6]
VARIANTS: dict[str, tuple[str, dict[str, Any]]] = {
    **{family: (family, {}) for family in FAMILIES},
    "tied": ("Qwen2", {"tie_word_embeddings": True}),
    "odd layers": ("Llama", {"num_hidden_layers": 9}),
    "no grouping": ("Llama", {"num_key_value_heads": 4}),
    "wide heads": ("Qwen3", {"head_dim": 16}),
    "biases": ("Llama", {"attention_bias": True}),
    "linear": ("Llama", {"rope_parameters": {
        "rope_type": "linear", "rope_theta": 1e4, "factor": 2.0}}),
    "yarn": ("Llama", {"rope_parameters": {
        "rope_type": "yarn", "rope_theta": 1e4, "factor": 4.0,
        "original_max_position_embeddings": 16}}),
    "llama3": ("Llama", {"rope_parameters": {
        "rope_type": "llama3", "rope_theta": 1e4, "factor": 8.0, "low_freq_factor": 1.0,
        "high_freq_factor": 4.0, "original_max_position_embeddings": 16}}),
}  # fmt: skip


def texts(batch: int, length: int) -> Tensor:
    return torch.randint(VOCAB, (batch, length), generator=torch.Generator().manual_seed(batch))


def plain(model: Any, tokens: Tensor) -> tuple[Tensor, Tensor]:
    """transformers' own call without cache: logits, and the three hidden states of EAGLE-3."""
    output = model(tokens, output_hidden_states=True, use_cache=False)
    layers = model.config.num_hidden_layers
    taken = [output.hidden_states[i] for i in (2, layers // 2, layers - 3)]
    return output.logits, torch.cat(taken, -1)


def run(target: Any, tokens: Tensor, cache: KVCache, start: int, mask: Tensor | None) -> Step:
    positions = torch.arange(start, start + tokens.shape[1]).expand(tokens.shape)
    return target.forward(tokens, positions, mask, cache, features=True)


def close(actual: Tensor | None, expected: Tensor) -> None:
    torch.testing.assert_close(actual, expected, rtol=2e-4, atol=2e-4)


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("kind", ["lean", "generic"])
def test_prefill_steps_and_tree(kind: str, variant: str) -> None:
    family, settings = VARIANTS[variant]
    model = tiny_model(family, seed=1, **settings)
    [text] = texts(1, 12).tolist()
    tree = torch.tensor([[5, 6, 7, 8, 9, 10, 11]])
    draft = tree_draft(tree, torch.tensor([PARENTS]), 4)
    root = text[-1]
    expected_logits, expected_features = plain(model, torch.tensor([text]))
    branches = []
    for node in range(1, 8):
        branch, at = [], node
        while at:
            branch.insert(0, int(tree[0, at - 1]))
            at = PARENTS[at - 1]
        branches.append(text + branch)
    expected_nodes = [plain(model, torch.tensor([branch]))[0][0, -1] for branch in branches]

    assert fits(model)
    target = lean_target(model) if kind == "lean" else generic_target(model)
    cache = KVCache(1, 32)
    step = run(target, torch.tensor([text[:8]]), cache, 0, None)
    cache.commit_all()
    close(step.logits, expected_logits[:, :8])
    close(step.features, expected_features[:, :8])
    for at in range(8, 11):
        step = run(target, torch.tensor([[text[at]]]), cache, at, None)
        cache.commit_all()
        close(step.logits[:, 0], expected_logits[:, at])
        close(step.features[:, 0], expected_features[:, at])
    nodes = torch.cat((torch.tensor([[root]]), tree), 1)
    mask = attention_mask(cache.lengths, draft.visible)
    step = target.forward(nodes, 11 + draft.depths, mask, cache, features=True)
    close(step.logits[:, 0], expected_logits[:, 11])
    close(step.logits[0, 1:], torch.stack(expected_nodes))
    cache.commit([[0, 1, 3, 6]])
    step = run(target, torch.tensor([[3]]), cache, 15, None)
    path = [*text, 5, 7, 10, 3]
    logits, features = plain(model, torch.tensor([path]))
    close(step.logits[:, 0], logits[:, -1])
    close(step.features[:, 0], features[:, -1])


@pytest.mark.parametrize("kind", ["lean", "generic"])
def test_ragged_batch(kind: str) -> None:
    model = tiny_model("Qwen3", seed=2)
    rows = [texts(1, n)[0].tolist() for n in (3, 9, 6)]
    more = texts(3, 4)
    expected = [plain(model, torch.tensor([row + more[i].tolist()])) for i, row in enumerate(rows)]
    target = lean_target(model) if kind == "lean" else generic_target(model)
    cache = KVCache(3, 20)
    for index, row in enumerate(rows):
        window = cache.row(index)
        run(target, torch.tensor([row]), window, 0, None)
        window.commit_all()
        cache.adopt(index, window)
    causal = torch.ones(4, 4, dtype=torch.bool).tril().expand(3, 4, 4)
    positions = torch.tensor(cache.lengths)[:, None] + torch.arange(4)
    mask = attention_mask(cache.lengths, causal)
    step = target.forward(more, positions, mask, cache, features=True)
    for index, (logits, features) in enumerate(expected):
        close(step.logits[index], logits[0, -4:])
        close(step.features[index], features[0, -4:])


@pytest.mark.parametrize("kind", ["lean", "generic"])
def test_aux_layers_of_choice(kind: str) -> None:
    model = tiny_model("Llama", seed=3)
    tokens = texts(1, 6)
    hidden = model(tokens, output_hidden_states=True, use_cache=False).hidden_states
    target = lean_target(model) if kind == "lean" else generic_target(model)
    residual: list[torch.Tensor] = []
    model.model.norm.register_forward_pre_hook(lambda _, args: residual.append(args[0]))
    model(tokens, use_cache=False)
    boundaries = [*hidden[:LAYERS], residual[0], hidden[LAYERS]]
    positions = torch.arange(6)[None]
    for layers in ((0, 1, 6), (5, 2, 3), (LAYERS,), (1, LAYERS + 1), (LAYERS, LAYERS + 1)):
        target.set_aux_layers(layers)
        assert target.spec.aux_layers == layers
        for last_only in (False, True):
            step = target.forward(
                tokens, positions, None, KVCache(1, 6), features=True, last_only=last_only
            )
            close(step.features, torch.cat([boundaries[i] for i in layers], -1))


@pytest.mark.parametrize("kind", ["lean", "generic"])
def test_last_only_and_embeddings(kind: str) -> None:
    model = tiny_model("Llama", seed=4)
    tokens = texts(1, 6)
    target = lean_target(model) if kind == "lean" else generic_target(model)
    positions = torch.arange(6)[None]
    whole = target.forward(tokens, positions, None, KVCache(1, 6), features=False)
    last = target.forward(tokens, positions, None, KVCache(1, 6), features=True, last_only=True)
    assert whole.features is None
    assert last.features is not None
    assert last.features.shape[1] == 6
    close(last.logits, whole.logits[:, -1:])
    assert torch.equal(target.embed(tokens), model.get_input_embeddings()(tokens))


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
