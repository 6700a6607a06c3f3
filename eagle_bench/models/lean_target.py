"""A lean forward over the weights of a Llama-family model that transformers loaded.

Fused q-k-v and gate-up projections, one rotary table, a preallocated cache, norms of few
operations and torch's own attention take less time than the generic path. The fused matrices
replace the originals' storage (the model's parameters become views), so nothing is held twice.
Checked against transformers' logits when it is built.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from eagle_bench.models.attention import attend, attention_bias
from eagle_bench.models.cache import KVCache, attention_state
from eagle_bench.models.matrix import Matrix, rows_that_pay
from eagle_bench.models.norm import Norm
from eagle_bench.models.strides import with_own_strides
from eagle_bench.models.target import Step, TargetSpec

FAMILIES = ("LlamaForCausalLM", "Qwen2ForCausalLM", "Qwen3ForCausalLM", "MistralForCausalLM")
ROPE_TYPES = ("default", "linear", "llama3", "yarn")


@dataclass
class _Layer:
    input_norm: Norm
    qkv: Matrix
    q_norm: Norm | None
    k_norm: Norm | None
    o: Matrix
    mlp_norm: Norm
    gate_up: Matrix
    down: Matrix


def fits(model: Any) -> bool:
    """Whether this forward computes what `model` computes."""
    config = model.config
    rope = getattr(config, "rope_parameters", None) or {}
    sliding = "sliding_attention" in (getattr(config, "layer_types", None) or [])
    if not getattr(config, "layer_types", None):
        sliding = getattr(config, "sliding_window", None) is not None
    return (
        config.architectures is not None
        and config.architectures[0] in FAMILIES
        and not sliding
        and rope.get("rope_type", "default") in ROPE_TYPES
        and rope.get("partial_rotary_factor", 1.0) == 1.0
        and config.hidden_act == "silu"
        and not getattr(config, "mlp_bias", False)
        and type(model.model.layers[0].mlp.gate_proj) is nn.Linear
        and len({p.device for p in model.parameters()}) == 1
    )


def _fuse(modules: list[nn.Linear]) -> Matrix:
    """One matrix for several projections of one input; the originals become views of it."""
    weight = torch.cat([module.weight.data for module in modules])
    biases = [module.bias.data for module in modules if module.bias is not None]
    start = 0
    for module in modules:
        rows = module.weight.shape[0]
        module.weight.data = weight[start : start + rows]
        start += rows
    return Matrix(weight, torch.cat(biases) if biases else None)


class LeanTarget:
    """The lean forward behind the target protocol."""

    def __init__(self, model: Any, tokenizer: Any, spec: TargetSpec) -> None:
        config = model.config
        self.tokenizer = tokenizer
        self.spec = replace(spec, implementation="lean")
        self.model = model
        self._heads: int = config.num_attention_heads
        self._kv_heads: int = config.num_key_value_heads
        self._head_dim: int = (
            getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
        )
        eps: float = config.rms_norm_eps
        self._layers = [_layer(layer, eps) for layer in model.model.layers]
        self._embedding: Tensor = model.model.embed_tokens.weight.data
        self._norm = Norm(model.model.norm.weight.data, eps)
        self._head = Matrix(model.lm_head.weight.data)
        self._cos, self._sin = self._rotary_table(spec.max_positions)
        self.set_aux_layers(spec.aux_layers)

    def set_aux_layers(self, layers: tuple[int, ...]) -> None:
        self.spec = replace(self.spec, aux_layers=tuple(layers))

    def pack(self) -> None:
        """Hold the weights packed as well, for the calls that are faster so on this machine."""
        matrices = [
            matrix
            for layer in self._layers
            for matrix in (layer.qkv, layer.o, layer.gate_up, layer.down)
        ]
        matrices.append(self._head)
        from_rows = rows_that_pay(matrices)
        if from_rows is not None:
            for matrix in matrices:
                matrix.pack(from_rows)
        self.spec = replace(self.spec, packed_from_rows=from_rows)

    def _rotary_table(self, positions: int) -> tuple[Tensor, Tensor]:
        """cos and sign-folded sin `[positions, head_dim]`: x*cos + roll(x, d/2)*sin rotates."""
        index = torch.arange(positions, device=self.spec.device)[None]
        like = torch.empty(0, dtype=self.spec.dtype, device=self.spec.device)
        cos, sin = self.model.model.rotary_emb(like, index)
        half = self._head_dim // 2
        return cos[0], torch.cat((-sin[0, :, :half], sin[0, :, half:]), dim=-1)

    @torch.inference_mode()
    def forward(
        self,
        tokens: Tensor,
        positions: Tensor,
        mask: Tensor | None,
        cache: KVCache,
        *,
        features: bool,
        last_only: bool = False,
    ) -> Step:
        batch, q = tokens.shape
        heads, kv_heads, dim = self._heads, self._kv_heads, self._head_dim
        rotated = heads + kv_heads
        causal = mask is None and q > 1
        bias = None if mask is None else attention_bias(mask, heads // kv_heads, self.spec.dtype)
        cos, sin = self._cos[positions][:, :, None], self._sin[positions][:, :, None]
        x = F.embedding(tokens, self._embedding)
        taken: dict[int, Tensor] = {}
        for index, layer in enumerate(self._layers):
            if features and index in self.spec.aux_layers:
                taken[index] = x
            y = layer.input_norm(x)
            qkv = layer.qkv(y).view(batch, q, -1, dim)
            qk, v = qkv[:, :, :rotated], qkv[:, :, rotated:]
            if layer.q_norm is not None and layer.k_norm is not None:
                qk = torch.cat(
                    (
                        layer.q_norm(qk[:, :, :heads]),
                        layer.k_norm(qk[:, :, heads:]),
                    ),
                    dim=2,
                )
            qk = torch.addcmul(qk * cos, qk.roll(dim // 2, -1), sin).transpose(1, 2)
            keys, values = cache.update(qk[:, heads:], v.transpose(1, 2), index)
            y = attend(qk[:, :heads], keys, values, bias, causal=causal)
            x = x + layer.o(y)
            y = layer.mlp_norm(x)
            gate, up = layer.gate_up(y).chunk(2, dim=-1)
            x = x + layer.down(F.silu(gate) * up)
        cache.advance(q)
        wanted = self.spec.aux_layers if features else ()
        shown = x[:, -1:] if last_only and len(self._layers) + 1 not in wanted else x
        normed = self._norm(shown)
        logits = self._head(with_own_strides(normed[:, -1:]) if last_only else normed)
        if not features:
            return Step(logits, None)
        taken |= {len(self._layers): x, len(self._layers) + 1: normed}
        return Step(logits, torch.cat([taken[i] for i in self.spec.aux_layers], dim=-1))

    @property
    def lm_head(self) -> nn.Linear:
        head: nn.Linear = self.model.get_output_embeddings()
        return head

    def state(self, batch: int, capacity: int) -> KVCache:
        return attention_state(batch, capacity, len(self._layers))

    def embed(self, tokens: Tensor) -> Tensor:
        return F.embedding(tokens, self._embedding)


def _layer(module: Any, eps: float) -> _Layer:
    attention, mlp = module.self_attn, module.mlp
    return _Layer(
        input_norm=Norm(module.input_layernorm.weight.data, eps),
        qkv=_fuse([attention.q_proj, attention.k_proj, attention.v_proj]),
        q_norm=Norm(attention.q_norm.weight.data, eps) if hasattr(attention, "q_norm") else None,
        k_norm=Norm(attention.k_norm.weight.data, eps) if hasattr(attention, "k_norm") else None,
        o=Matrix(attention.o_proj.weight.data, attention.o_proj.bias),
        mlp_norm=Norm(module.post_attention_layernorm.weight.data, eps),
        gate_up=_fuse([mlp.gate_proj, mlp.up_proj]),
        down=Matrix(mlp.down_proj.weight.data),
    )
