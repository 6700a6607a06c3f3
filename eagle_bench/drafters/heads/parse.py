"""From `config.json` and the shapes of the tensors to a `HeadConfig`.

Where both speak, the tensors decide: configs in the wild count the target's layers, miss
`head_dim`, or promise biases that are not there.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from torch import Tensor
from transformers.activations import ACT2FN

from eagle_bench.config.values import HeadKind
from eagle_bench.drafters.heads.checkpoint import Checkpoint
from eagle_bench.drafters.heads.config import DeepSeekConfig, HeadConfig, MLAConfig
from eagle_bench.errors import UserError

SIZES = ("hidden_size", "num_attention_heads", "intermediate_size", "vocab_size")
TOLD_BY_CONFIG = ("norm_before_residual", "norm_output")
TOLD_BY_TENSORS = ("norm_before_fc", "fc_norm")
MASK_TOKENS = ("mask_token_id", "pard_token", "ptd_token_id")
ATTENTION = "layers.0.self_attn."
LAYER_NUMBER = re.compile(r"layers\.(\d+)\.")
Weights = Mapping[str, Tensor]


def parse_config(checkpoint: Checkpoint, mask_token: int | None = None) -> HeadConfig:
    """The head that the tensors make up; how it is read, nobody has said yet.

    `mask_token` is the user's word on a P-EAGLE head's, if there is one.
    """
    config, sizes, weights = checkpoint.config, checkpoint.sizes, checkpoint.weights
    if lacking := [key for key in SIZES if sizes.get(key) is None]:
        raise UserError(f"config.json of the head lacks {', '.join(lacking)}.")
    if (config.get("eagle_config") or {}).get("use_aux_hidden_state") is False:
        raise UserError(
            "The head was trained on the last hidden state alone (use_aux_hidden_state=false), "
            "which is neither EAGLE-3 nor EAGLE-1."
        )
    hidden, vocab = sizes["hidden_size"], sizes["vocab_size"]
    generation = checkpoint.form.generation
    target_hidden = hidden
    num_features = 1
    if generation == 3:
        target_hidden = config.get("target_hidden_size") or hidden
        num_features, rest = divmod(weights["fc.weight"].shape[1], target_hidden)
        if rest:
            raise UserError(
                f"fc reads {weights['fc.weight'].shape[1]} features, which is no multiple of the "
                f"target's width {target_hidden}."
            )
    own_lm_head = generation == 3 and "lm_head.weight" in weights
    if own_lm_head:
        draft_vocab = weights["lm_head.weight"].shape[0]
        _agree("draft_vocab_size", config.get("draft_vocab_size"), "lm_head", draft_vocab)
    else:
        draft_vocab = vocab
    return HeadConfig(
        hidden_size=hidden,
        target_hidden_size=target_hidden,
        vocab_size=vocab,
        draft_vocab_size=draft_vocab,
        intermediate_size=weights["layers.0.mlp.gate_proj.weight"].shape[0],
        rms_eps=float(sizes.get("rms_norm_eps", 1e-6)),
        max_positions=int(sizes.get("max_position_embeddings", 2048)),
        num_layers=1 + max(int(m[1]) for key in weights if (m := LAYER_NUMBER.match(key))),
        activation=_activation(sizes),
        attention_bias="layers.0.self_attn.q_proj.bias" in weights,
        output_bias="layers.0.self_attn.o_proj.bias" in weights,
        mlp_bias="layers.0.mlp.gate_proj.bias" in weights,
        fc_bias="fc.bias" in weights,
        qk_norm="layers.0.self_attn.q_norm.weight" in weights,
        norm_before_fc="input_norm.weight" in weights,
        fc_norm="fc_norm.0.weight" in weights,
        own_lm_head=own_lm_head,
        generation=generation,
        num_features=num_features,
        mask_token=_mask_token(checkpoint, mask_token, vocab),
        **_attention(sizes, weights, hidden),
    )


def _mask_token(checkpoint: Checkpoint, told: int | None, vocab: int) -> int | None:
    """What a P-EAGLE head puts into the slots that it drafts from."""
    if checkpoint.kind is not HeadKind.p_eagle:
        return None
    said = (told, *(checkpoint.config.get(key) for key in MASK_TOKENS))
    token = next((each for each in said if each is not None), None)
    if token is None:
        raise UserError(
            f"config.json of the P-EAGLE head in {checkpoint.folder} does not say which token is "
            "its mask; give it as drafter.mask_token."
        )
    if not 0 <= token < vocab:
        raise UserError(f"The head's mask token {token} is none of its {vocab} tokens.")
    return int(token)


def _activation(sizes: Mapping[str, Any]) -> str:
    """Of the MLP; Gemma calls it `hidden_activation`."""
    name = sizes.get("hidden_activation") or sizes.get("hidden_act") or "silu"
    if name not in ACT2FN:
        raise UserError(f"config.json of the head names an unknown activation: {name}.")
    return str(name)


def _attention(sizes: Mapping[str, Any], weights: Weights, hidden: int) -> dict[str, Any]:
    heads = sizes["num_attention_heads"]
    if f"{ATTENTION}kv_b_proj.weight" in weights:
        return _deepseek(sizes, weights, heads)
    kv_heads = sizes.get("num_key_value_heads") or heads
    if heads % kv_heads:
        raise UserError(
            f"config.json of the head says num_attention_heads={heads}, which is no multiple of "
            f"num_key_value_heads={kv_heads}."
        )
    q_rows = weights["layers.0.self_attn.q_proj.weight"].shape[0]
    head_dim = sizes.get("head_dim") or (hidden // heads if q_rows == hidden else q_rows // heads)
    _agree("num_attention_heads * head_dim", heads * head_dim, "q_proj", q_rows)
    mla = None
    key = "layers.0.self_attn.k_proj.weight"
    if "layers.0.self_attn.W_dkv.weight" in weights:
        if sizes.get("mla_rope_dim") or any(".W_qr." in name for name in weights):
            raise UserError(
                "The head has mla_rope_dim > 0: the decoupled RoPE is broken where these heads "
                "are trained, so there is no right result to give; train with mla_rope_dim=0."
            )
        latent = weights["layers.0.self_attn.W_dkv.weight"].shape[0]
        _agree("mla_latent_dim", sizes.get("mla_latent_dim"), "W_dkv", latent)
        mla = MLAConfig(latent)
        key = "layers.0.self_attn.W_uk.weight"
    if key in weights:
        _agree("num_key_value_heads * head_dim", kv_heads * head_dim, key, weights[key].shape[0])
    return {"num_heads": heads, "num_kv_heads": kv_heads, "head_dim": head_dim, "mla": mla}


def _deepseek(sizes: Mapping[str, Any], weights: Weights, heads: int) -> dict[str, Any]:
    parts = ("qk_nope_head_dim", "qk_rope_head_dim", "v_head_dim")
    if lacking := [key for key in parts if sizes.get(key) is None]:
        raise UserError(f"config.json of the head lacks {', '.join(lacking)}.")
    plain, turned, value = (sizes[key] for key in parts)
    ranks: list[int | None] = []
    for said, norm in (("q_lora_rank", "q_a_layernorm"), ("kv_lora_rank", "kv_a_layernorm")):
        tensor = weights.get(f"{ATTENTION}{norm}.weight")
        ranks.append(None if tensor is None else len(tensor))
        _agree(said, sizes.get(said), norm, ranks[-1] or 0)
    latent = DeepSeekConfig(
        query_rank=ranks[0],
        key_rank=ranks[1] or 0,
        plain=plain,
        turned=turned,
        value=value,
        interleaved=sizes.get("rope_interleave") is not False,
    )
    return {
        "num_heads": heads,
        "num_kv_heads": heads,
        "head_dim": plain + turned,
        "deepseek": latent,
    }


def _agree(said: str, value: int | None, tensor: str, rows: int) -> None:
    if value is not None and value != rows:
        raise UserError(f"config.json says {said} = {value}, but {tensor} has {rows} rows.")
