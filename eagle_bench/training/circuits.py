"""A target's first weights, laid out so that it can copy from its context before training.

A copying ("induction") circuit takes two layers of attention: one that tells each position
which token came before it, one that looks for positions whose predecessor is the present
token and repeats what stood there (Olsson et al., 2022, "In-context Learning and Induction
Heads"). Small models find it late or never: 20 layers of width 128 did not within 6 million
tokens. Starting from it, in the spirit of mimetic initialisation (Trockman and Kolter, 2023),
the same training copies names and numbers from its first steps. Nothing is frozen.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor
from transformers import LlamaForCausalLM

EMBEDDING_STD = 0.1
BIAS = 3.0
"""Size of the one constant embedding coordinate, in units of `EMBEDDING_STD`; heads that look
at fixed distances take their queries and keys from it."""

POSITION_GAIN = 2.2
MATCH_SCALE = 20.0
"""The attention score of a token with itself."""

SLOW = 0.004
"""Rotary frequencies under this many radians a token hardly turn within a prompt: these
coordinates can compare tokens at any distance."""

FAST_PAIRS = 8


def lay_copy_circuit(model: LlamaForCausalLM) -> None:
    """Overwrite the embeddings and two heads in each of the first two layers of `model`.

    The residual stream is divided into one constant coordinate, the token's content, and the
    codes of the last token and the one before it.
    """
    config: Any = model.config
    head_dim, group = config.head_dim, config.num_attention_heads // config.num_key_value_heads
    frequencies = config.rope_parameters["rope_theta"] ** (
        -torch.arange(head_dim // 2) / (head_dim // 2)
    )
    slow = [int(pair) for pair in (frequencies < SLOW).nonzero()]
    code = 2 * len(slow)
    content = slice(1, config.hidden_size - 2 * code)
    last = slice(content.stop, content.stop + code)
    before_last = slice(last.stop, config.hidden_size)
    width = content.stop - 1
    rms = math.sqrt((width + BIAS**2) / config.hidden_size)
    encode = _orthonormal(code, width)
    values = _orthonormal(config.num_key_value_heads * head_dim, width)

    with torch.no_grad():
        table = model.model.embed_tokens.weight.zero_()
        table[:, 0] = BIAS * EMBEDDING_STD
        table[:, content].normal_(std=EMBEDDING_STD)
        for kv, (distance, place) in enumerate(((1, last), (2, before_last))):
            q, k, v, o = _head(model, layer=0, head=kv * group, kv=kv)
            pairs = slice(0, min(FAST_PAIRS, head_dim // 2))
            turned = slice(head_dim // 2, head_dim // 2 + pairs.stop)
            angle = distance * frequencies[pairs]
            q[pairs, 0], q[turned, 0] = POSITION_GAIN * angle.cos(), -POSITION_GAIN * angle.sin()
            k[pairs, 0] = POSITION_GAIN
            v[:code, content] = encode
            o[place, :code] = torch.eye(code) * EMBEDDING_STD * rms

        match = rms * math.sqrt(MATCH_SCALE * math.sqrt(head_dim) / code)
        coordinates = slow + [head_dim // 2 + pair for pair in slow]
        for kv in range(2):
            q, k, v, o = _head(model, layer=1, head=kv * group, kv=kv)
            q[coordinates, content] = match * encode
            k[coordinates, last] = match * torch.eye(code)
            part = values[kv * head_dim : (kv + 1) * head_dim]
            v[: len(part), content] = part
            o[content, : len(part)] = part.T * 2 * EMBEDDING_STD * rms


def _head(
    model: LlamaForCausalLM, layer: int, head: int, kv: int
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Zeroed views of one head's q, k, v `[head_dim, hidden]` and o `[hidden, head_dim]`."""
    attention: Any = model.model.layers[layer].self_attn
    head_dim: int = attention.head_dim
    query, key = (slice(each * head_dim, (each + 1) * head_dim) for each in (head, kv))
    return (
        attention.q_proj.weight[query].zero_(),
        attention.k_proj.weight[key].zero_(),
        attention.v_proj.weight[key].zero_(),
        attention.o_proj.weight[:, query].zero_(),
    )


def _orthonormal(rows: int, columns: int) -> Tensor:
    """Up to `columns` random orthonormal rows, `[min(rows, columns), columns]`."""
    basis: Tensor = torch.linalg.qr(torch.randn(columns, min(rows, columns))).Q
    return basis.T
