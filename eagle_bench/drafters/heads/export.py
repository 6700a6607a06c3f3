"""Write a head in any of the field's layouts, so that it loads back to identical results."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from eagle_bench.config.values import dtype_name
from eagle_bench.drafters.heads.aux_layers import KEY
from eagle_bench.drafters.heads.config import HeadConfig
from eagle_bench.drafters.heads.folder import PICKLE, SAFETENSORS
from eagle_bench.drafters.heads.formats import FORMATS, by_name, format_name
from eagle_bench.drafters.heads.head import EagleHead
from eagle_bench.drafters.heads.parse import TOLD_BY_CONFIG, TOLD_BY_TENSORS
from eagle_bench.drafters.heads.weightmap import split
from eagle_bench.errors import UserError

ARCHITECTURES = {
    "safeailab": "LlamaForCausalLM",
    "specforge": "LlamaForCausalLMEagle3",
    "angelslim": "Eagle3LlamaForCausalLM",
    "speculators": "Eagle3DraftModel",
    "modelopt": "LlamaForCausalLMEagle3",
    "eagle1": "LlamaForCausalLM",
}

PARALLEL = {"specforge": "PEagleDraftModel", "speculators": "PEagleSpeculator"}
"""The layouts of P-EAGLE heads, and what they call their architecture."""


def save_head(
    head: EagleHead, folder: str | Path, layout: str = "safeailab", *, pickled: bool = False
) -> Path:
    """Write `head` and its `config.json` into `folder`, which is made.

    Parameters
    ----------
    layout : str
        One of `ARCHITECTURES`. `eagle1` is for EAGLE-1/2 heads and for them alone.
    pickled : bool
        Write `pytorch_model.bin` instead of `model.safetensors`.

    Raises
    ------
    UserError
        The layout cannot express this head.
    """
    config = head.config
    _check_expressible(config, layout)
    form = by_name(layout)
    weights = split(head.state_dict(), config)
    if head.d2t is not None:
        weights["d2t"] = head.d2t
    if head.t2d is not None and layout != "modelopt":
        weights["t2d"] = head.t2d
    named = {format_name(form, n): t.detach().cpu().contiguous() for n, t in weights.items()}
    path = Path(folder)
    path.mkdir(parents=True, exist_ok=True)
    if pickled:
        torch.save(named, path / PICKLE)
    else:
        save_file(_unshared(named), path / SAFETENSORS, metadata={"format": "pt"})
    document = _config_json(config, layout, head.fc.weight.dtype)
    (path / "config.json").write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    return path


def _check_expressible(config: HeadConfig, layout: str) -> None:
    if layout not in ARCHITECTURES:
        known = ", ".join(form.name for form in FORMATS)
        raise UserError(f"There is no layout {layout!r}; known: {known}.")
    if (config.generation == 3) == (layout == "eagle1"):
        raise UserError(f"The layout {layout} cannot hold an EAGLE-{config.generation} head.")
    if config.mask_token is not None and layout not in PARALLEL:
        known = " and ".join(PARALLEL)
        raise UserError(f"The layout {layout} cannot hold a P-EAGLE head; {known} can.")
    if config.deepseek is not None:
        raise UserError("A head with DeepSeek's latent attention is not written.")
    if config.reading.own_embeddings and config.target_hidden_size == config.hidden_size:
        raise UserError("No layout can say that a head as wide as its target embeds by itself.")


def _unshared(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Copies of the pieces of joined tensors: safetensors refuses memory that is shared."""
    return {name: tensor.clone() for name, tensor in tensors.items()}


def _config_json(config: HeadConfig, layout: str, dtype: torch.dtype) -> dict[str, Any]:
    sizes: dict[str, Any] = {
        "model_type": "qwen3" if config.qk_norm else "llama",
        "hidden_size": config.hidden_size,
        "intermediate_size": config.intermediate_size,
        "num_attention_heads": config.num_heads,
        "num_key_value_heads": config.num_kv_heads,
        "head_dim": config.head_dim,
        "num_hidden_layers": config.num_layers,
        "hidden_act": config.activation,
        "max_position_embeddings": config.max_positions,
        "rms_norm_eps": config.rms_eps,
        "rope_theta": config.reading.rope.theta,
        "rope_scaling": config.reading.rope.scaling,
        "partial_rotary_factor": config.reading.rope.partial,
        "sliding_window": config.reading.window,
        "vocab_size": config.vocab_size,
        "attention_bias": config.attention_bias,
        "mlp_bias": config.mlp_bias,
        "tie_word_embeddings": False,
        "torch_dtype": dtype_name(dtype),
    }
    if config.mla is not None:
        sizes |= {"mla_latent_dim": config.mla.latent_dim, "mla_rope_dim": 0}
    if layout == "eagle1":
        return {"architectures": [ARCHITECTURES[layout]], **sizes, "bias": config.fc_bias}
    head: dict[str, Any] = {"draft_vocab_size": config.draft_vocab_size}
    flags = {name: getattr(config, name) for name in TOLD_BY_TENSORS}
    flags |= {name: getattr(config.reading, name) for name in TOLD_BY_CONFIG}
    head |= {name: True for name, on in flags.items() if on}
    if config.target_hidden_size != config.hidden_size:
        head["target_hidden_size"] = config.target_hidden_size
    if config.reading.aux_layers is not None:
        form = by_name(layout)
        if form.aux_ids == "output":
            head["eagle_config"] = {
                "use_aux_hidden_state": True,
                KEY: [layer - 1 for layer in config.reading.aux_layers],
            }
        else:
            head[KEY] = list(config.reading.aux_layers)
    names = ARCHITECTURES
    if config.mask_token is not None:
        names = PARALLEL
        head["mask_token_id"] = config.mask_token
    document = {"architectures": [names[layout]]}
    if layout == "speculators":
        return document | {
            "speculators_model_type": "eagle3" if config.mask_token is None else "peagle",
            "transformer_layer_config": sizes,
            **head,
        }
    return document | sizes | head
