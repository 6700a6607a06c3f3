"""What the loop may expect of every kind in `tiny_models.TARGETS`; a new one joins by a row.

Logits, features, rollback and tree masks are those of transformers' plain forward.
"""

from __future__ import annotations

from typing import Any

import pytest
import torch
from target_run import PARENTS, close, plain, run, texts
from tiny_models import FAMILIES, LAYERS, TARGETS, VOCAB, tiny_model

from eagle_bench.decoding.draft import tree_draft
from eagle_bench.models.lean_target import fits
from eagle_bench.models.mask import attention_mask

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


every = pytest.mark.parametrize("kind", TARGETS)


@pytest.mark.parametrize("variant", VARIANTS)
@every
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
    target = TARGETS[kind](model)
    cache = target.state(1, 32)
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


@every
def test_ragged_batch(kind: str) -> None:
    model = tiny_model("Qwen3", seed=2)
    rows = [texts(1, n)[0].tolist() for n in (3, 9, 6)]
    more = texts(3, 4)
    expected = [plain(model, torch.tensor([row + more[i].tolist()])) for i, row in enumerate(rows)]
    target = TARGETS[kind](model)
    cache = target.state(3, 20)
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


@every
def test_aux_layers_of_choice(kind: str) -> None:
    model = tiny_model("Llama", seed=3)
    tokens = texts(1, 6)
    hidden = model(tokens, output_hidden_states=True, use_cache=False).hidden_states
    target = TARGETS[kind](model)
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
                tokens, positions, None, target.state(1, 6), features=True, last_only=last_only
            )
            close(step.features, torch.cat([boundaries[i] for i in layers], -1))


@every
def test_last_only_and_embeddings(kind: str) -> None:
    model = tiny_model("Llama", seed=4)
    tokens = texts(1, 6)
    target = TARGETS[kind](model)
    positions = torch.arange(6)[None]
    whole = target.forward(tokens, positions, None, target.state(1, 6), features=False)
    last = target.forward(
        tokens, positions, None, target.state(1, 6), features=True, last_only=True
    )
    assert whole.features is None
    assert last.features is not None
    assert last.features.shape[1] == 6
    close(last.logits, whole.logits[:, -1:])
    assert torch.equal(target.embed(tokens), model.get_input_embeddings()(tokens))


@every
def test_it_tells_what_it_is(kind: str) -> None:
    model = tiny_model("Qwen2", seed=9)
    target = TARGETS[kind](model)
    spec = target.spec
    assert spec.implementation
    assert spec.num_layers == LAYERS
    assert spec.vocab_size == VOCAB == target.lm_head.weight.shape[0]
    assert spec.weight_bytes >= spec.parameters > 0
    cache = target.state(2, 10)
    assert cache.lengths == [0, 0]
    tokens = texts(2, 5)
    step = run(target, tokens, cache, 0, None)
    assert step.features is not None
    assert step.features.shape == (2, 5, spec.hidden_size * len(spec.aux_layers))
    assert cache.lengths == [0, 0], "what is not committed is not there"
    cache.commit_all()
    assert cache.lengths == [5, 5]
