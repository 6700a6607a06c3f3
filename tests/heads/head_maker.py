"""Tiny random heads under the field's names, written to disk without the package's export."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from eagle_bench.config.drafter import Eagle3Config
from eagle_bench.drafters.heads import load
from eagle_bench.drafters.heads.check import TargetShape

HIDDEN, INNER, VOCAB, DRAFT, LATENT = 32, 40, 60, 24, 10


@dataclass
class Tiny:
    """Tensors, the config.json that describes them, and the oracle's view of both."""

    weights: dict[str, Tensor]
    config: dict[str, Any]
    shape: dict[str, Any] = field(default_factory=dict)

    def write(self, folder: Path, *, pickled: bool = False) -> str:
        folder.mkdir(parents=True, exist_ok=True)
        tensors = {name: tensor.clone() for name, tensor in self.weights.items()}
        if pickled:
            torch.save(tensors, folder / "pytorch_model.bin")
        else:
            save_file(tensors, folder / "model.safetensors")
        (folder / "config.json").write_text(json.dumps(self.config))
        return str(folder)


def load_head(
    path: str, *, target: TargetShape | None = None, embed: Any = None, **settings: Any
) -> load.LoadedHead:
    """The head in the folder `path` under these settings of `drafter`."""
    return load.load_head(Eagle3Config(name="eagle3", path=path, **settings), target, embed)


def tiny(
    *, seed: int = 0, target_hidden: int = HIDDEN, head_dim: int = 8, kv_heads: int = 2,
    layers: int = 1, mla: bool = False, bias: bool = False, qk_norm: bool = False,
    draft: int = DRAFT, theta: float | None = None, scaling: dict[str, Any] | None = None,
    max_positions: int = 2048, window: int | None = None, partial: float = 1.0, **flags: bool,
) -> Tiny:  # fmt: skip
    """An EAGLE-3 head in the SafeAILab layout."""
    draw = torch.Generator().manual_seed(seed)
    heads = 4
    weights: dict[str, Tensor] = {}

    def matrix(name: str, rows: int, columns: int, biased: bool = False) -> None:
        weights[f"{name}.weight"] = torch.randn(rows, columns, generator=draw) * columns**-0.5
        if biased:
            weights[f"{name}.bias"] = torch.randn(rows, generator=draw) * 0.2

    def norm(name: str, width: int) -> None:
        weights[f"{name}.weight"] = 1 + 0.3 * torch.randn(width, generator=draw)

    matrix("fc", HIDDEN, 3 * target_hidden)
    if flags.get("norm_before_fc"):
        norm("input_norm", 3 * target_hidden)
    for index in range(3 if flags.get("fc_norm") else 0):
        norm(f"fc_norm.{index}", target_hidden)
    for layer in range(layers):
        at = "midlayer" if layer == 0 else f"layers.{layer}"
        width = 2 * HIDDEN if layer == 0 else HIDDEN
        norm(f"{at}.input_layernorm", HIDDEN)
        norm(f"{at}.post_attention_layernorm", HIDDEN)
        if layer == 0:
            norm(f"{at}.hidden_norm", HIDDEN)
        matrix(f"{at}.self_attn.q_proj", heads * head_dim, width, bias)
        if mla:
            matrix(f"{at}.self_attn.W_dkv", LATENT, width)
            norm(f"{at}.self_attn.kv_norm", LATENT)
            weights[f"{at}.self_attn.kv_norm.bias"] = torch.randn(LATENT, generator=draw) * 0.3
            matrix(f"{at}.self_attn.W_uk", kv_heads * head_dim, LATENT)
            matrix(f"{at}.self_attn.W_uv", kv_heads * head_dim, LATENT)
        else:
            matrix(f"{at}.self_attn.k_proj", kv_heads * head_dim, width, bias)
            matrix(f"{at}.self_attn.v_proj", kv_heads * head_dim, width, bias)
        if qk_norm:
            norm(f"{at}.self_attn.q_norm", head_dim)
            norm(f"{at}.self_attn.k_norm", head_dim)
        matrix(f"{at}.self_attn.o_proj", HIDDEN, heads * head_dim, bias)
        matrix(f"{at}.mlp.gate_proj", INNER, HIDDEN)
        matrix(f"{at}.mlp.up_proj", INNER, HIDDEN)
        matrix(f"{at}.mlp.down_proj", HIDDEN, INNER)
    norm("norm", HIDDEN)
    matrix("lm_head", draft, HIDDEN)
    if draft < VOCAB:
        ids = torch.randperm(VOCAB, generator=draw)[:draft].sort().values
        weights["d2t"] = ids - torch.arange(draft)
        weights["t2d"] = torch.zeros(VOCAB, dtype=torch.bool)
        weights["t2d"][ids] = True
    if target_hidden != HIDDEN:
        weights["embed_tokens.weight"] = torch.randn(VOCAB, HIDDEN, generator=draw)
    config: dict[str, Any] = {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "hidden_size": HIDDEN,
        "intermediate_size": INNER,
        "num_attention_heads": heads,
        "num_key_value_heads": kv_heads,
        "num_hidden_layers": layers,
        "hidden_act": "silu",
        "max_position_embeddings": max_positions,
        "rms_norm_eps": 1e-5,
        "vocab_size": VOCAB,
        "draft_vocab_size": draft,
    }
    config |= {name: value for name, value in flags.items() if value}
    if head_dim * heads != HIDDEN:
        config["head_dim"] = head_dim
    if target_hidden != HIDDEN:
        config["target_hidden_size"] = target_hidden
    if theta is not None:
        config["rope_theta"] = theta
    if scaling is not None:
        config["rope_scaling"] = scaling
    if window is not None:
        config |= {"sliding_window": window, "layer_types": ["sliding_attention"] * layers}
    if partial != 1.0:
        config["partial_rotary_factor"] = partial
    if mla:
        config |= {"mla_latent_dim": LATENT, "mla_rope_dim": 0}
    shape = {
        "heads": heads, "kv_heads": kv_heads, "head_dim": head_dim, "eps": 1e-5,
        "theta": theta or 10000.0, "scaling": scaling, "max_positions": max_positions,
        "layers": layers, "window": window, "partial": partial, **flags,
    }  # fmt: skip
    return Tiny(weights, config, shape)


def tiny_eagle1(*, seed: int = 0, bias: bool = True) -> Tiny:
    """An EAGLE-1/2 head with two layers."""
    made = tiny(seed=seed, layers=2, draft=VOCAB)
    weights = {}
    for name, tensor in made.weights.items():
        if name.startswith(("norm.", "lm_head.", "midlayer.hidden_norm", "midlayer.input_layer")):
            continue
        weights[name.replace("midlayer.", "layers.0.")] = tensor
    for part in "qkv":
        name = f"layers.0.self_attn.{part}_proj.weight"
        weights[name] = weights[name][:, :HIDDEN] * 2**0.5
    weights["fc.weight"] = weights["fc.weight"][:, : 2 * HIDDEN]
    if bias:
        weights["fc.bias"] = torch.linspace(-0.3, 0.3, HIDDEN)
    config = {k: v for k, v in made.config.items() if k != "draft_vocab_size"}
    return Tiny(weights, config, made.shape | {"generation": 1})
