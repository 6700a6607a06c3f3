"""The shape of an EAGLE head and the choices in which the field's variants differ."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from eagle_bench.models.target import default_aux_layers


@dataclass(frozen=True)
class RopeConfig:
    """Rotary embedding of a head, its own and never the target's.

    `scaling` holds `rope_type` and what that type needs (`factor`, ...), or is None.
    """

    theta: float = 10000.0
    scaling: dict[str, Any] | None = None


@dataclass(frozen=True)
class MLAConfig:
    """Multi-head latent attention: keys and values are made from one latent vector."""

    latent_dim: int


@dataclass(frozen=True)
class HeadConfig:
    """Everything that decides a head's parameters and arithmetic.

    Attributes
    ----------
    hidden_size, target_hidden_size : int
        Width of the head, and of one of the target's hidden states.
    vocab_size, draft_vocab_size : int
        Tokens of the target, and those of them that the head can propose.
    max_positions : int
        Context the head was made for; only length-dependent RoPE scaling reads it.
    attention_bias, output_bias, mlp_bias, fc_bias : bool
        Biases of q/k/v, of o_proj, of the MLP and of fc.
    qk_norm : bool
        RMSNorm over each head of q and k before RoPE (Qwen3).
    norm_before_residual : bool
        The residual is the normed feature.
    norm_before_fc, fc_norm : bool
        One RMSNorm over the concatenated features, or one for each of them.
    norm_output : bool
        The state fed back to the next draft step is the normed one (EAGLE 3.1).
    own_embeddings, own_lm_head : bool
        The head ships token embeddings, its own lm_head; otherwise the target's are used.
    generation : int
        3 for EAGLE-3; 1 for EAGLE-1/2, which reads the target's final hidden state, draws
        its logits with the target's lm_head and has no norms around fc.
    num_features : int
        Hidden states of the target that `fuse` reads (3; 1 for EAGLE-1/2).
    aux_layers : tuple of int or None
        Which: the boundaries of `TargetSpec.aux_layers`; None for `[2, L // 2, L - 3]`.
    """

    hidden_size: int
    target_hidden_size: int
    num_heads: int
    num_kv_heads: int
    head_dim: int
    intermediate_size: int
    vocab_size: int
    draft_vocab_size: int
    rms_eps: float = 1e-6
    rope: RopeConfig = field(default_factory=RopeConfig)
    max_positions: int = 2048
    num_layers: int = 1
    activation: str = "silu"
    attention_bias: bool = False
    output_bias: bool = False
    mlp_bias: bool = False
    fc_bias: bool = False
    qk_norm: bool = False
    norm_before_residual: bool = False
    norm_before_fc: bool = False
    fc_norm: bool = False
    norm_output: bool = False
    own_embeddings: bool = False
    own_lm_head: bool = True
    mla: MLAConfig | None = None
    generation: int = 3
    num_features: int = 3
    aux_layers: tuple[int, ...] | None = None

    def features_of(self, num_target_layers: int) -> tuple[int, ...]:
        """The boundaries of a target with `num_target_layers` layers that the head reads."""
        if self.generation != 3:
            return (num_target_layers + 1,)
        if self.aux_layers is not None:
            return self.aux_layers
        return default_aux_layers(num_target_layers)

    def cache_elements_per_token(self) -> tuple[int, int]:
        """Cache entries per token and layer: as this head keeps them, and as plain k and v."""
        plain = 2 * self.num_kv_heads * self.head_dim
        return (self.mla.latent_dim if self.mla else plain), plain
