"""Tiny random models of real architectures, and targets over them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import torch
import transformers

from eagle_bench.models.lean_target import LeanTarget
from eagle_bench.models.load import spec_of
from eagle_bench.models.target import Target
from eagle_bench.models.transformers_target import TransformersTarget

CPU = torch.device("cpu")
VOCAB, WIDTH, LAYERS, POSITIONS = 48, 32, 7, 64
FAMILIES = ("Llama", "Qwen2", "Qwen3", "Mistral")


def tiny_model(family: str = "Llama", *, seed: int = 0, **settings: Any) -> Any:
    """A random causal LM whose greedy output varies with its prompt."""
    options: dict[str, Any] = {
        "hidden_size": WIDTH,
        "intermediate_size": 48,
        "num_hidden_layers": LAYERS,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "head_dim": 8,
        "vocab_size": VOCAB,
        "max_position_embeddings": POSITIONS,
        "initializer_range": 0.4,
        "bos_token_id": None,
        "eos_token_id": None,
        "pad_token_id": None,
        "sliding_window": None,
        "attn_implementation": "sdpa",
    }
    config = getattr(transformers, f"{family}Config")(**options | settings)
    config.architectures = [f"{family}ForCausalLM"]
    torch.manual_seed(seed)
    model = getattr(transformers, f"{family}ForCausalLM")(config)
    for name, parameter in model.named_parameters():
        if "norm" in name or name.endswith("bias"):
            parameter.data += 0.3 * torch.randn_like(parameter)
    return model.eval().requires_grad_(False)


def generic_target(model: Any) -> TransformersTarget:
    tokenizer = SimpleNamespace(eos_token_id=None)
    return TransformersTarget(
        model, tokenizer, spec_of(model, tokenizer, "tiny", torch.float32, CPU)
    )


def lean_target(model: Any, eos_ids: frozenset[int] = frozenset()) -> LeanTarget:
    generic = generic_target(model)
    generic.set_aux_layers(())
    tokenizer = generic.tokenizer
    spec = spec_of(model, tokenizer, "tiny", torch.float32, CPU)
    return LeanTarget(model, tokenizer, replace(spec, eos_ids=eos_ids))


def packed_target(model: Any) -> LeanTarget:
    target = lean_target(model)
    with patch("eagle_bench.models.lean_target.rows_that_pay", return_value=1):
        target.pack()
    return target


TARGETS: dict[str, Callable[[Any], Target]] = {
    "generic": generic_target,
    "lean": lean_target,
    "packed": packed_target,
}
"""Every kind of target; `test_target_contract.py` asks each of them the same."""
