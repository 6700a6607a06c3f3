"""The EAGLE head written down slowly from its formulas, one head and one token at a time.

Works on the separate tensors under the field's names and shares no code with the package.
`shape` is a plain dict: heads, kv_heads, head_dim, eps, theta, scaling, max_positions and flags.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

Weights = dict[str, Tensor]
Shape = dict[str, Any]


def rms(x: Tensor, weight: Tensor, eps: float) -> Tensor:
    return x / torch.sqrt((x * x).mean() + eps) * weight


def linear(x: Tensor, weights: Weights, name: str) -> Tensor:
    bias = weights.get(f"{name}.bias")
    y = weights[f"{name}.weight"] @ x
    return y if bias is None else y + bias


def turned(shape: Shape) -> int:
    """Dimensions of a head that are rotated."""
    return int(shape["head_dim"] * shape.get("partial", 1.0))


def frequency(i: int, shape: Shape, length: int) -> tuple[float, float]:
    """Angle per position of pair `i`, and the factor on cosine and sine."""
    dim, theta, scaling = turned(shape), shape["theta"], shape["scaling"] or {}
    plain = theta ** (-2 * i / dim)
    kind = scaling.get("rope_type", scaling.get("type", "default"))
    factor = scaling.get("factor", 1.0)
    if kind == "linear":
        return plain / factor, 1.0
    if kind == "dynamic":
        top = shape["max_positions"]
        stretched = theta
        if length > top:
            stretched = theta * (factor * length / top - (factor - 1)) ** (dim / (dim - 2))
        return stretched ** (-2 * i / dim), 1.0
    if kind == "longrope":
        original, factor = scaling["original_max_position_embeddings"], scaling["factor"]
        slower = scaling["long_factor" if length > original else "short_factor"][i]
        return plain / slower, math.sqrt(1 + math.log(factor) / math.log(original))
    if kind == "llama3":
        original = scaling["original_max_position_embeddings"]
        low, high = scaling["low_freq_factor"], scaling["high_freq_factor"]
        wavelength = 2 * math.pi / plain
        if wavelength < original / high:
            return plain, 1.0
        if wavelength > original / low:
            return plain / factor, 1.0
        smooth = (original / wavelength - low) / (high - low)
        return (1 - smooth) * plain / factor + smooth * plain, 1.0
    if kind == "yarn":
        original = scaling["original_max_position_embeddings"]

        def dimension(rotations: float) -> float:
            turns = original / (rotations * 2 * math.pi)
            return dim * math.log(turns) / (2 * math.log(theta))

        low = max(math.floor(dimension(scaling.get("beta_fast", 32))), 0)
        high = min(math.ceil(dimension(scaling.get("beta_slow", 1))), dim - 1)
        ramp = min(max((i - low) / max(high - low, 0.001), 0.0), 1.0)
        return plain / factor * ramp + plain * (1 - ramp), 0.1 * math.log(factor) + 1.0
    assert kind == "default"
    return plain, 1.0


def rotated(x: Tensor, position: int, shape: Shape, length: int) -> Tensor:
    half = turned(shape) // 2
    out = x.clone()
    for i in range(half):
        step, magnitude = frequency(i, shape, length)
        turn = complex(math.cos(position * step), math.sin(position * step)) * magnitude
        z = complex(float(x[i]), float(x[i + half])) * turn
        out[i], out[i + half] = z.real, z.imag
    return out


def attention(
    xs: list[Tensor], positions: list[int], sees: list[list[int]], weights: Weights, at: str,
    shape: Shape,
) -> list[Tensor]:  # fmt: skip
    dim, kv_heads, group = shape["head_dim"], shape["kv_heads"], shape["heads"] // shape["kv_heads"]
    length = max(positions) + 1
    queries, keys, values = [], [], []
    for x, position in zip(xs, positions, strict=True):
        q = linear(x, weights, f"{at}.q_proj")
        if f"{at}.W_dkv.weight" in weights:
            raw = linear(x, weights, f"{at}.W_dkv")
            centred = raw - raw.mean()
            latent = centred / torch.sqrt((centred * centred).mean() + 1e-5)
            latent = latent * weights[f"{at}.kv_norm.weight"] + weights[f"{at}.kv_norm.bias"]
            k, v = linear(latent, weights, f"{at}.W_uk"), linear(latent, weights, f"{at}.W_uv")
        else:
            k, v = linear(x, weights, f"{at}.k_proj"), linear(x, weights, f"{at}.v_proj")
        qs = [q[h * dim : (h + 1) * dim] for h in range(shape["heads"])]
        ks = [k[h * dim : (h + 1) * dim] for h in range(kv_heads)]
        if f"{at}.q_norm.weight" in weights:
            qs = [rms(one, weights[f"{at}.q_norm.weight"], shape["eps"]) for one in qs]
            ks = [rms(one, weights[f"{at}.k_norm.weight"], shape["eps"]) for one in ks]
        queries.append([rotated(one, position, shape, length) for one in qs])
        keys.append([rotated(one, position, shape, length) for one in ks])
        values.append([v[h * dim : (h + 1) * dim] for h in range(kv_heads)])
    out = []
    for t, visible in enumerate(sees):
        parts = []
        for h in range(shape["heads"]):
            scores = torch.stack([queries[t][h] @ keys[s][h // group] for s in visible])
            shares = torch.exp(scores / math.sqrt(dim))
            shares = shares / shares.sum()
            parts.append(
                sum((a * values[s][h // group] for a, s in zip(shares, visible, strict=True)),
                    torch.zeros(dim, dtype=scores.dtype))
            )  # fmt: skip
        out.append(linear(torch.cat(parts), weights, f"{at}.o_proj"))
    return out


def mlp(x: Tensor, weights: Weights, at: str) -> Tensor:
    gate = linear(x, weights, f"{at}.gate_proj")
    gated = gate * torch.sigmoid(gate) * linear(x, weights, f"{at}.up_proj")
    return linear(gated, weights, f"{at}.down_proj")


def fuse(feature: Tensor, weights: Weights, shape: Shape) -> Tensor:
    """First hidden state of one token from its concatenated features."""
    if shape.get("norm_before_fc"):
        feature = rms(feature, weights["input_norm.weight"], shape["eps"])
    if shape.get("fc_norm"):
        chunks = feature.split(len(feature) // 3)
        feature = torch.cat(
            [rms(c, weights[f"fc_norm.{i}.weight"], shape["eps"]) for i, c in enumerate(chunks)]
        )
    return linear(feature, weights, "fc")


def forward(
    embeds: list[Tensor], hidden: list[Tensor], positions: list[int], sees: list[list[int]],
    weights: Weights, shape: Shape,
) -> tuple[list[Tensor], list[Tensor]]:  # fmt: skip
    """What is fed back, and the logits (EAGLE-1/2: None), of every entry."""
    eps = shape["eps"]
    first = "midlayer" if "midlayer.mlp.up_proj.weight" in weights else "layers.0"
    eagle1 = shape.get("generation", 3) == 1
    if eagle1:
        pairs = zip(embeds, hidden, strict=True)
        hidden = [linear(torch.cat([e, h]), weights, "fc") for e, h in pairs]
    for layer in range(shape.get("layers", 1)):
        at = first if layer == 0 else f"layers.{layer}"
        residual = hidden
        if layer == 0 and not eagle1:
            normed = [rms(h, weights[f"{at}.hidden_norm.weight"], eps) for h in hidden]
            if shape.get("norm_before_residual"):
                residual = normed
            xs = [
                torch.cat([rms(e, weights[f"{at}.input_layernorm.weight"], eps), h])
                for e, h in zip(embeds, normed, strict=True)
            ]
        elif layer == 0:
            xs = hidden
        else:
            xs = [rms(h, weights[f"{at}.input_layernorm.weight"], eps) for h in hidden]
        attended = attention(xs, positions, sees, weights, f"{at}.self_attn", shape)
        hidden = [r + a for r, a in zip(residual, attended, strict=True)]
        after = f"{at}.post_attention_layernorm.weight"
        hidden = [h + mlp(rms(h, weights[after], eps), weights, f"{at}.mlp") for h in hidden]
    if eagle1:
        return hidden, []
    normed = [rms(h, weights["norm.weight"], eps) for h in hidden]
    logits = [linear(n, weights, "lm_head") for n in normed]
    return (normed if shape.get("norm_output") else hidden), logits
