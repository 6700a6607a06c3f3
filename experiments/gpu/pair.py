"""Targets and heads to time: random ones of well-known shapes, or real ones."""

from __future__ import annotations

from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import torch
from transformers import AutoConfig, AutoModelForCausalLM

from eagle_bench.config.drafter import Eagle3Config
from eagle_bench.config.model import ModelConfig
from eagle_bench.config.values import DType
from eagle_bench.drafters.build import load_eagle_head
from eagle_bench.drafters.eagle3 import Eagle3Drafter
from eagle_bench.drafters.heads.config import HeadConfig
from eagle_bench.drafters.heads.head import EagleHead
from eagle_bench.models.lean_target import LeanTarget
from eagle_bench.models.load import load_target, spec_of
from eagle_bench.models.target import Target

POSITIONS = 8192
SHAPES: dict[str, dict[str, Any]] = {
    "8b": {
        "model_type": "llama",
        "hidden_size": 4096,
        "intermediate_size": 14336,
        "num_hidden_layers": 32,
        "num_attention_heads": 32,
        "num_key_value_heads": 8,
        "vocab_size": 128256,
    },
    "7b": {
        "model_type": "qwen2",
        "hidden_size": 3584,
        "intermediate_size": 18944,
        "num_hidden_layers": 28,
        "num_attention_heads": 28,
        "num_key_value_heads": 4,
        "vocab_size": 152064,
    },
    "tiny": {
        "model_type": "llama",
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_hidden_layers": 7,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "vocab_size": 300,
    },
}
"""Llama-3.1-8B's, Qwen2.5-7B's, and one for the tests."""

DRAFT_VOCAB = 32000


@dataclass(frozen=True)
class Pair:
    """A target with its drafter.

    Attributes
    ----------
    origin : str
        What the weights are.
    """

    target: Target
    drafter: Eagle3Drafter
    origin: str


def random_pair(shape: str, dtype: torch.dtype, device: torch.device) -> Pair:
    """A target of `shape` and an EAGLE-3 head, their weights drawn on the device."""
    config = AutoConfig.for_model(
        **SHAPES[shape],
        max_position_embeddings=POSITIONS,
        tie_word_embeddings=False,
        bos_token_id=0,
        eos_token_id=0,
    )
    with torch.device(device):
        model = AutoModelForCausalLM.from_config(config, dtype=dtype)
    model.requires_grad_(False).eval()
    tokenizer = SimpleNamespace(eos_token_id=0)
    target = LeanTarget(model, tokenizer, spec_of(model, tokenizer, shape, dtype, device))
    return Pair(target, random_drafter(target), "random weights")


def real_pair(path: str, head: str | None, dtype: DType, device: torch.device) -> Pair:
    """The target in the folder `path` and the head in `head`, or a random head.

    Raises
    ------
    UserError
        One of them cannot be loaded, or they do not fit.
    """
    target = load_target(ModelConfig(name="local", path=path), dtype, device)
    if head is None:
        return Pair(target, random_drafter(target), f"{path}, with a random head")
    loaded = load_eagle_head(Eagle3Config(name="eagle3", path=head), target)
    return Pair(target, Eagle3Drafter(loaded.head, target), f"{path} and {head}")


def random_drafter(target: Any) -> Eagle3Drafter:
    """An EAGLE-3 head of the target's own shape: one layer, 32 000 draft tokens at most."""
    spec, config = target.spec, target.model.config.get_text_config()
    heads = config.num_attention_heads
    shape = HeadConfig(
        hidden_size=spec.hidden_size,
        target_hidden_size=spec.hidden_size,
        num_heads=heads,
        num_kv_heads=config.num_key_value_heads,
        head_dim=getattr(config, "head_dim", None) or spec.hidden_size // heads,
        intermediate_size=config.intermediate_size,
        vocab_size=spec.vocab_size,
        draft_vocab_size=min(DRAFT_VOCAB, spec.vocab_size),
        max_positions=spec.max_positions,
    )
    with torch.device(spec.device):
        head = EagleHead(shape).to(spec.dtype).freeze()
        head.set_vocabulary(torch.arange(shape.draft_vocab_size))
    target.set_aux_layers(shape.features_of(spec.num_layers))
    return Eagle3Drafter(head, target)
