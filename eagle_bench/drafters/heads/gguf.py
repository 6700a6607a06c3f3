"""An EAGLE-3 head as the GGUF file, float32, that llama.cpp reads."""

from __future__ import annotations

from pathlib import Path

import torch

from eagle_bench.drafters.heads.config import HeadConfig
from eagle_bench.drafters.heads.head import EagleHead
from eagle_bench.drafters.heads.weightmap import join, split
from eagle_bench.errors import UserError
from eagle_bench.models.gguf_writer import (
    Sizes,
    Writable,
    add_tokenizer,
    arrays,
    new_writer,
    write,
)


def write_head(head: EagleHead, target: Writable, path: Path) -> None:
    """Write `head`, made for `target`, to the file `path`, and read it back.

    Both were let pass: the head by `check_writable`, the target by `models.gguf_writer`'s.

    Raises
    ------
    RunFailure
        The file does not hold what was written.
    """
    config = head.config
    sizes = Sizes(
        context=target.spec.max_positions,
        width=config.hidden_size,
        layers=1,
        inner=config.intermediate_size,
        heads=config.num_heads,
        kv_heads=config.num_kv_heads,
        head_dim=config.head_dim,
        rms_eps=config.rms_eps,
        rope_theta=config.reading.rope.theta,
        vocab=config.vocab_size,
    )
    writer = new_writer(path, "eagle3", sizes)
    layers = config.features_of(target.spec.num_layers)
    writer.add_array("eagle3.target_layers", list(layers))
    writer.add_uint32("eagle3.target_hidden_size", config.target_hidden_size)
    writer.add_bool("eagle3.norm_before_residual", config.reading.norm_before_residual)
    add_tokenizer(writer, target)
    tensors = arrays(split(dict(head.named_parameters()), config), sizes)
    draft_ids = torch.arange(config.draft_vocab_size)
    target_ids = head.to_target(draft_ids.to(head.fc.weight.device)).cpu()
    if config.draft_vocab_size < config.vocab_size or not torch.equal(target_ids, draft_ids):
        tensors["d2t"] = target_ids.numpy()
    write(writer, path, tensors)


def misordered(head: EagleHead) -> EagleHead:
    """`head` as an engine runs it whose file has q and k in transformers' order of rows."""
    weights = split(head.state_dict(), head.config)
    heads = {"q_proj": head.config.num_heads, "k_proj": head.config.num_kv_heads}
    for name, count in heads.items():
        key = f"layers.0.self_attn.{name}.weight"
        pairs = weights[key].reshape(count, -1, 2, weights[key].shape[1])
        weights[key] = pairs.transpose(1, 2).reshape(weights[key].shape)
    twin = head.variant(head.config.reading)
    twin.load_state_dict(join(weights, head.config), assign=True)
    return twin


def check_writable(config: HeadConfig) -> None:
    """Refuse what llama.cpp does not run, and what was never tried with it."""
    biases = config.attention_bias, config.output_bias, config.mlp_bias, config.fc_bias
    reading = config.reading
    refused = {
        "an EAGLE-1/2 head": config.generation != 3,
        f"a head of {config.num_layers} layers": config.num_layers != 1,
        f"a head that reads {config.num_features} features": config.num_features != 3,
        "a latent (MLA) head": config.mla is not None or config.deepseek is not None,
        "a head with EAGLE-3.1's norms": config.fc_norm or reading.norm_output,
        "a head with a norm before fc": config.norm_before_fc,
        "a head with q and k norms": config.qk_norm,
        "a head with biases": any(biases),
        "a head with scaled RoPE": reading.rope.scaling is not None,
        "a head with RoPE on a part of its dimensions": reading.rope.partial != 1.0,
        "a head with a window": reading.window is not None,
        "a head with its own embeddings": reading.own_embeddings,
        "a head without an lm_head of its own": not config.own_lm_head,
        f"a head with {config.activation}": config.activation != "silu",
    }
    for what, there in refused.items():
        if there:
            raise UserError(f"format=gguf cannot hold {what} in a form that llama.cpp runs.")
