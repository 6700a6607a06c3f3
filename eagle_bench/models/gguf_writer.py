"""A Llama target as the GGUF file, float32, that llama.cpp reads.

llama.cpp rotates neighbouring pairs where transformers rotates halves, so the rows of q and k
are written in another order; everything else is a matter of names.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from eagle_bench.errors import RunFailure, UserError
from eagle_bench.models.lean_target import LeanTarget
from eagle_bench.models.transformers_target import TransformersTarget

Arrays = Mapping[str, NDArray[Any]]
Writable = TransformersTarget | LeanTarget

NAMES = {
    "embed_tokens": "token_embd",
    "norm": "output_norm",
    "lm_head": "output",
    "fc": "fc",
    "input_layernorm": "attn_norm",
    "hidden_norm": "attn_norm_2",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "post_attention_layernorm": "ffn_norm",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}
"""Modules as transformers and EAGLE heads name them, and as GGUF does."""

SMOLLM = [("Digits", True), ("ByteLevel", None)]
"""How a text is split before BPE where llama.cpp says `smollm`: kinds, and single digits."""


@dataclass(frozen=True)
class Sizes:
    """The numbers of a decoder under GGUF's keys; `vocab` is the target's also for a head."""

    context: int
    width: int
    layers: int
    inner: int
    heads: int
    kv_heads: int
    head_dim: int
    rms_eps: float
    rope_theta: float
    vocab: int


def require_gguf(setting: str) -> None:
    """Refuse `setting`, before anything is loaded, when the package `gguf` is not installed."""
    if find_spec("gguf") is None:
        raise UserError(f"{setting} needs the package gguf: pip install 'eagle_bench[llama-cpp]'.")


def check_writable(target: Writable) -> None:
    """Refuse targets of another kind than those that were tried with llama.cpp."""
    config, tokenizer = target.model.config, _described(target)
    kind, split = type(target.model).__name__, tokenizer["pre_tokenizer"] or {}
    steps = [
        (each["type"], each.get("individual_digits")) for each in split.get("pretokenizers", [])
    ]
    llama = kind == "LlamaForCausalLM"
    refused = {
        f"a {kind}, only a Llama": not llama,
        "a target with scaled RoPE": llama and config.rope_parameters["rope_type"] != "default",
        "a target with biases": llama and (config.attention_bias or config.mlp_bias),
        f"a target with {config.hidden_act}, only with silu": config.hidden_act != "silu",
        "a tokenizer other than byte-level BPE that splits off single digits, as SmolLM2's": (
            tokenizer["model"]["type"] != "BPE" or steps != SMOLLM
        ),
        f"a target with {len(target.spec.stops)} end tokens, only with one": (
            len(target.spec.stops) != 1
        ),
    }
    for what, there in refused.items():
        if there:
            raise UserError(f"format=gguf cannot write {what}.")


def write_target(target: Writable, path: Path) -> None:
    """Write `target`, which `check_writable` let pass, to the file `path`, and read it back.

    Raises
    ------
    RunFailure
        The file does not hold what was written.
    """
    config = target.model.config
    sizes = Sizes(
        context=config.max_position_embeddings,
        width=config.hidden_size,
        layers=config.num_hidden_layers,
        inner=config.intermediate_size,
        heads=config.num_attention_heads,
        kv_heads=config.num_key_value_heads,
        head_dim=config.head_dim,
        rms_eps=config.rms_norm_eps,
        rope_theta=config.rope_parameters["rope_theta"],
        vocab=target.spec.vocab_size,
    )
    weights = target.model.state_dict()
    if config.tie_word_embeddings:
        del weights["lm_head.weight"]
    writer = new_writer(path, "llama", sizes)
    add_tokenizer(writer, target)
    write(writer, path, arrays(weights, sizes))


def new_writer(path: Path, architecture: str, sizes: Sizes) -> Any:
    """A `gguf.GGUFWriter` that knows the sizes of `architecture`."""
    import gguf

    writer = gguf.GGUFWriter(path, architecture)
    writer.add_file_type(gguf.LlamaFileType.ALL_F32)
    writer.add_context_length(sizes.context)
    writer.add_embedding_length(sizes.width)
    writer.add_block_count(sizes.layers)
    writer.add_feed_forward_length(sizes.inner)
    writer.add_head_count(sizes.heads)
    writer.add_head_count_kv(sizes.kv_heads)
    writer.add_key_length(sizes.head_dim)
    writer.add_value_length(sizes.head_dim)
    writer.add_layer_norm_rms_eps(sizes.rms_eps)
    writer.add_rope_dimension_count(sizes.head_dim)
    writer.add_rope_freq_base(sizes.rope_theta)
    writer.add_vocab_size(sizes.vocab)
    return writer


def arrays(weights: Mapping[str, Tensor], sizes: Sizes) -> dict[str, NDArray[Any]]:
    """`weights` (`[model.]layers.N.MODULE.weight`, ...) in float32 under GGUF's names."""
    result = {}
    for name, tensor in weights.items():
        place, module = "", name.removeprefix("model.").removesuffix(".weight")
        if module.startswith("layers."):
            _, number, module = module.split(".", 2)
            place = f"blk.{number}."
        array = tensor.detach().to("cpu", torch.float32).numpy()
        if module == "self_attn.q_proj":
            array = in_pairs(array, sizes.heads)
        elif module == "self_attn.k_proj":
            array = in_pairs(array, sizes.kv_heads)
        result[f"{place}{NAMES[module]}.weight"] = array
    return result


def in_pairs(projection: NDArray[Any], heads: int) -> NDArray[Any]:
    """Rows of q or k, `[heads * head_dim, in]`: in each head, row i beside row i + head_dim/2."""
    halves = projection.reshape(heads, 2, -1, projection.shape[1])
    return halves.swapaxes(1, 2).reshape(projection.shape)


def add_tokenizer(writer: Any, target: Writable) -> None:
    """The target's tokens, merges and end; without an end llama.cpp would stop at token 11."""
    import gguf

    described = _described(target)
    model = described["model"]
    tokens = [f"[PAD{token}]" for token in range(target.spec.vocab_size)]
    types = [gguf.TokenType.UNUSED] * len(tokens)
    for text, token in model["vocab"].items():
        tokens[token], types[token] = text, gguf.TokenType.NORMAL
    for added in described["added_tokens"]:
        special = added["special"]
        tokens[added["id"]] = added["content"]
        types[added["id"]] = gguf.TokenType.CONTROL if special else gguf.TokenType.USER_DEFINED
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("smollm")
    writer.add_token_list(tokens)
    writer.add_token_types(types)
    writer.add_token_merges(
        [merge if isinstance(merge, str) else " ".join(merge) for merge in model["merges"]]
    )
    writer.add_eos_token_id(min(target.spec.stops))
    if target.tokenizer.pad_token_id is not None:
        writer.add_pad_token_id(target.tokenizer.pad_token_id)
    writer.add_add_bos_token(False)


def _described(target: Writable) -> dict[str, Any]:
    """The target's `tokenizer.json`."""
    described: dict[str, Any] = json.loads(target.tokenizer.backend_tokenizer.to_str())
    return described


def write(writer: Any, path: Path, tensors: Arrays) -> None:
    """Write the file with `tensors`, then read it back and compare."""
    from gguf import GGUFReader

    for name, array in tensors.items():
        writer.add_tensor(name, np.ascontiguousarray(array))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    there = {tensor.name: tensor.data for tensor in GGUFReader(path).tensors}
    for name, array in tensors.items():
        if not np.array_equal(there[name], array):
            raise RunFailure(f"{path}: {name} was read back otherwise than it was written.")
