"""Whatever leaves a head's function as it is leaves its accept lengths; a fault is refused."""

from __future__ import annotations

import json
import random
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from head_at_work import CHAIN, speak
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file
from torch import Tensor

from eagle_bench import assets
from eagle_bench.config.drafter import Eagle3Config
from eagle_bench.errors import UserError
from eagle_bench.models.target import Target
from eagle_bench.records.generation import Request

WIDTH, HEADS, KV_HEADS, DIM, VOCAB, DRAFT = 128, 4, 2, 32, 768, 512
PARTS = ("q_proj", "k_proj", "v_proj")
LAYER = "midlayer.{}.weight"
ATTENTION = "midlayer.self_attn.{}.weight"


@dataclass
class Made:
    """A copy of the embedded head, to be changed."""

    weights: dict[str, Tensor]
    config: dict[str, Any]
    draw: torch.Generator

    def order(self, n: int) -> Tensor:
        return torch.randperm(n, generator=self.draw)

    def powers(self, n: int) -> Tensor:
        """Powers of two, whose products and quotients are exact in every dtype."""
        return 2.0 ** torch.randint(-3, 4, (n,), generator=self.draw)

    def take(self, name: str, index: Tensor, dim: int) -> None:
        self.weights[name] = self.weights[name].index_select(dim, index)

    def scale(self, name: str, by: Tensor) -> None:
        tensor = self.weights[name]
        self.weights[name] = tensor * by.to(tensor.dtype)


def vocabulary_in_another_order(made: Made) -> None:
    order, own = made.order(DRAFT), torch.arange(DRAFT)
    made.weights["d2t"] = (own + made.weights["d2t"])[order] - own
    made.take("lm_head.weight", order, 0)


def no_t2d(made: Made) -> None:
    made.weights.pop("t2d", None)


def padded_vocabulary(made: Made) -> None:
    made.config["vocab_size"] = VOCAB + 8


def channels_of_own_embeddings(made: Made) -> None:
    """Its own embeddings: the target's with their channels in another order."""
    order, rest = made.order(WIDTH), torch.arange(WIDTH, 2 * WIDTH)
    theirs = load_file(assets.TARGET / "model.safetensors")["model.embed_tokens.weight"]
    made.weights["embed_tokens.weight"] = theirs[:, order]
    made.take(LAYER.format("input_layernorm"), order, 0)
    for part in PARTS:
        made.take(ATTENTION.format(part), torch.cat((order, rest)), 1)


def attention_heads_in_another_order(made: Made) -> None:
    groups = made.order(KV_HEADS)
    each = HEADS // KV_HEADS
    queries = torch.cat([group * each + made.order(each) for group in groups])
    kept = {"q_proj": queries, "k_proj": groups, "v_proj": groups}
    for part, heads in kept.items():
        made.take(ATTENTION.format(part), rows_of(heads), 0)
    made.take(ATTENTION.format("o_proj"), rows_of(queries), 1)


def rows_of(heads: Tensor) -> Tensor:
    return (heads[:, None] * DIM + torch.arange(DIM)).flatten()


def mlp_in_another_order(made: Made) -> None:
    order = made.order(made.weights[LAYER.format("mlp.up_proj")].shape[0])
    made.take(LAYER.format("mlp.up_proj"), order, 0)
    made.take(LAYER.format("mlp.gate_proj"), order, 0)
    made.take(LAYER.format("mlp.down_proj"), order, 1)


def scaled_mlp(made: Made) -> None:
    by = made.powers(made.weights[LAYER.format("mlp.up_proj")].shape[0])
    made.scale(LAYER.format("mlp.up_proj"), by[:, None])
    made.scale(LAYER.format("mlp.down_proj"), 1 / by)


def scaled_norms(made: Made) -> None:
    embeds, hidden, last = made.powers(WIDTH), made.powers(WIDTH), made.powers(WIDTH)
    made.scale(LAYER.format("input_layernorm"), embeds)
    made.scale(LAYER.format("hidden_norm"), hidden)
    for part in PARTS:
        made.scale(ATTENTION.format(part), 1 / torch.cat((embeds, hidden)))
    made.scale("norm.weight", last)
    made.scale("lm_head.weight", 1 / last)


def scaled_values(made: Made) -> None:
    by = made.powers(KV_HEADS)
    made.scale(ATTENTION.format("v_proj"), by.repeat_interleave(DIM)[:, None])
    made.scale(ATTENTION.format("o_proj"), 1 / by.repeat_interleave(HEADS // KV_HEADS * DIM))


def widened(made: Made) -> None:
    for name, tensor in made.weights.items():
        if tensor.is_floating_point():
            made.weights[name] = tensor.float()


def rope_by_kind(made: Made) -> None:
    base = {"rope_type": "default", "rope_theta": made.config.pop("rope_theta")}
    other = {"rope_type": "default", "rope_theta": 7.0}
    made.config["rope_parameters"] = {"full_attention": base, "sliding_attention": other}


def window_switched_off(made: Made) -> None:
    made.config |= {"sliding_window": 4, "use_sliding_window": False}


def layers_named_as_outputs(made: Made) -> None:
    made.config["eagle_config"] = {"eagle_aux_hidden_state_layer_ids": [1, 9, 16]}


TRANSFORMS: list[Callable[[Made], None]] = [
    vocabulary_in_another_order,
    no_t2d,
    padded_vocabulary,
    channels_of_own_embeddings,
    attention_heads_in_another_order,
    mlp_in_another_order,
    scaled_mlp,
    scaled_norms,
    scaled_values,
    widened,
    rope_by_kind,
    window_switched_off,
    layers_named_as_outputs,
]


def repeated_id(made: Made) -> None:
    made.weights["d2t"][1] = made.weights["d2t"][0] - 1


def lost_tensor(made: Made) -> None:
    del made.weights[LAYER.format("mlp.down_proj")]


def key_twice(made: Made) -> None:
    made.weights["module.fc.weight"] = made.weights["fc.weight"] * 2


def not_a_number(made: Made) -> None:
    made.weights["norm.weight"][5] = float("nan")


def layers_beyond(made: Made) -> None:
    made.config["eagle_config"] = {"eagle_aux_hidden_state_layer_ids": [2, 10, 40]}


FAULTS: list[Callable[[Made], None]] = [
    repeated_id,
    lost_tensor,
    key_twice,
    not_a_number,
    layers_beyond,
]


def write(made: Made, folder: Path, *, layer: str, prefix: str, shards: int) -> None:
    """With `midlayer` renamed, every key prefixed, over `shards` files."""
    named = {
        prefix + name.replace("midlayer.", layer): tensor.contiguous()
        for name, tensor in made.weights.items()
    }
    (folder / "config.json").write_text(json.dumps(made.config))
    if shards == 1:
        save_file(named, folder / "model.safetensors")
        return
    index = {}
    for shard in range(shards):
        file = f"model-{shard}.safetensors"
        part = dict(list(named.items())[shard::shards])
        save_file(part, folder / file)
        index |= dict.fromkeys(part, file)
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": index}))


@pytest.fixture(scope="module")
def two(requests: list[Request]) -> list[Request]:
    return [Request(each.key, each.tokens, 24) for each in requests[:2]]


@pytest.fixture(scope="module")
def expected(target: Target, two: list[Request]) -> list[tuple[list[int], list[int]]]:
    return speak(target, two, CHAIN, Eagle3Config(name="embedded"))


@settings(max_examples=30, deadline=None)
@given(
    transforms=st.sets(st.sampled_from(TRANSFORMS)),
    fault=st.sampled_from([None, None, *FAULTS]),
    layer=st.sampled_from(["midlayer.", "layers.0."]),
    prefix=st.sampled_from(["", "module.", "_orig_mod.", "module._orig_mod.draft_model."]),
    shards=st.integers(1, 3),
    seed=st.integers(0, 99),
)
def test_the_same_function_is_accepted_alike(
    transforms: set[Callable[[Made], None]],
    fault: Callable[[Made], None] | None,
    layer: str,
    prefix: str,
    shards: int,
    seed: int,
    target: Target,
    two: list[Request],
    expected: list[tuple[list[int], list[int]]],
) -> None:
    made = Made(
        load_file(assets.EAGLE3 / "model.safetensors"),
        json.loads((assets.EAGLE3 / "config.json").read_text()),
        torch.Generator().manual_seed(seed),
    )
    order = sorted(transforms, key=TRANSFORMS.index)
    random.Random(seed).shuffle(order)
    for transform in order:
        transform(made)
    if fault is not None:
        fault(made)
    with tempfile.TemporaryDirectory() as folder:
        write(made, Path(folder), layer=layer, prefix=prefix, shards=shards)
        drafter = Eagle3Config(name="eagle3", path=folder)
        if fault is not None:
            with pytest.raises(UserError):
                speak(target, two, CHAIN, drafter)
        else:
            assert speak(target, two, CHAIN, drafter) == expected
