"""The shape of an EAGLE head, as its tensors make it, with the reading that completes it."""

from __future__ import annotations

from dataclasses import dataclass, field

from eagle_bench.drafters.heads.reading import HeadReading
from eagle_bench.models.target import default_aux_layers


@dataclass(frozen=True)
class MLAConfig:
    """Multi-head latent attention: keys and values are made from one latent vector."""

    latent_dim: int


@dataclass(frozen=True)
class DeepSeekConfig:
    """DeepSeek's latent attention, whose keys and values are kept as plain ones.

    Attributes
    ----------
    query_rank, key_rank : int or None, int
        Width of the latent that queries, and keys with values, are made from; None for queries
        made at once.
    plain, turned, value : int
        Dimensions of a query head that RoPE leaves and turns, and of a value head.
    interleaved : bool
        RoPE pairs neighbours, not dimensions half a head apart.
    """

    query_rank: int | None
    key_rank: int
    plain: int
    turned: int
    value: int
    interleaved: bool = True


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
    norm_before_fc, fc_norm : bool
        One RMSNorm over the concatenated features, or one for each of them.
    own_lm_head : bool
        The head ships its own lm_head; otherwise the target's is used.
    generation : int
        3 for EAGLE-3; 1 for EAGLE-1/2, which reads the target's final hidden state, draws
        its logits with the target's lm_head and has no norms around fc.
    num_features : int
        Hidden states of the target that `fuse` reads (3; 1 for EAGLE-1/2).
    mask_token : int or None
        The token in the slots that a P-EAGLE head drafts from; None for all other heads.
    reading : HeadReading
        What the tensors leave open.
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
    max_positions: int = 2048
    num_layers: int = 1
    activation: str = "silu"
    attention_bias: bool = False
    output_bias: bool = False
    mlp_bias: bool = False
    fc_bias: bool = False
    qk_norm: bool = False
    norm_before_fc: bool = False
    fc_norm: bool = False
    own_lm_head: bool = True
    mla: MLAConfig | None = None
    deepseek: DeepSeekConfig | None = None
    generation: int = 3
    num_features: int = 3
    mask_token: int | None = None
    reading: HeadReading = field(default_factory=HeadReading)

    def features_of(self, num_target_layers: int) -> tuple[int, ...]:
        """The boundaries of a target with `num_target_layers` layers that the head reads."""
        if self.reading.aux_layers is not None:
            return self.reading.aux_layers
        if self.generation != 3:
            return (num_target_layers + 1,)
        return default_aux_layers(num_target_layers)

    def cache_elements_per_token(self) -> tuple[int, int]:
        """Cache entries per token and layer: as this head keeps them, and as plain k and v."""
        value = self.deepseek.value if self.deepseek else self.head_dim
        plain = self.num_kv_heads * (self.head_dim + value)
        return (self.mla.latent_dim if self.mla else plain), plain
