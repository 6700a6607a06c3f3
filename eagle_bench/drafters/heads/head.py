"""The EAGLE head: from the target's features and a token to the next draft token."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor, nn

from eagle_bench.config.values import Attention
from eagle_bench.drafters.heads.config import HeadConfig
from eagle_bench.drafters.heads.layer import Cache, Layer, RMSNorm
from eagle_bench.drafters.heads.reading import HeadReading
from eagle_bench.drafters.heads.rope import Angles, Rope
from eagle_bench.models.norm import Norm


class EagleHead(nn.Module):
    """An EAGLE-3 head, or with `config.generation == 1` an EAGLE-1/2 head.

    With `config.mask_token` it is a P-EAGLE head: it has learnt to draft from slots of that token
    beside `mask_hidden`, which stands in for features that the target has not computed yet.

    The feature of position i is paired with the token at i + 1 and sits at RoPE position i.
    `fuse` turns features of the target into the head's width, once; `forward` makes from them
    (or from its own earlier output) the state that gives `logits` and that the next draft step
    takes. Everything is differentiable.

    Attributes
    ----------
    d2t : Tensor or None
        int64 `[draft_vocab]`; the target's id of draft token i is `i + d2t[i]`. None when the
        vocabularies are the same.
    t2d : Tensor or None
        bool `[vocab]`; which target tokens the head can propose.
    """

    d2t: Tensor | None
    t2d: Tensor | None

    def __init__(self, config: HeadConfig, attention: Attention = Attention.sdpa) -> None:
        super().__init__()
        self.config = config
        self.attention = attention
        width, eps = config.hidden_size, config.rms_eps
        with torch.device("cpu"):
            self.rope: Angles = Rope(config)
        features = config.num_features * config.target_hidden_size
        if config.generation != 3:
            features = 2 * width
        self.fc = nn.Linear(features, width, bias=config.fc_bias)
        self.input_norm = RMSNorm(features, eps) if config.norm_before_fc else None
        chunks = config.num_features if config.fc_norm else 0
        self.fc_norm = nn.ModuleList(RMSNorm(config.target_hidden_size, eps) for _ in range(chunks))
        self.mask_hidden = (
            nn.Parameter(torch.randn(1, 1, features)) if config.mask_token is not None else None
        )
        self.layers = nn.ModuleList(
            Layer(config, index, attention) for index in range(config.num_layers)
        )
        self.embed_tokens = (
            nn.Embedding(config.vocab_size, width) if config.reading.own_embeddings else None
        )
        self.norm = RMSNorm(width, eps) if config.generation == 3 else None
        self.lm_head = (
            nn.Linear(width, config.draft_vocab_size, bias=False) if config.own_lm_head else None
        )
        self.register_buffer("d2t", None)
        self.register_buffer("t2d", None)

    def fuse(self, features: Tensor) -> Tensor:
        """The head's first hidden state `[batch, tokens, hidden_size]`.

        Parameters
        ----------
        features : Tensor
            `[batch, tokens, num_features * target_hidden_size]`: the target's hidden states at
            `config.features_of(layers)`, concatenated. For EAGLE-1/2 the final, normed hidden
            state, which is returned as it is.
        """
        if self.config.generation != 3:
            return features
        if self.input_norm is not None:
            features = self.input_norm(features)
        if self.fc_norm:
            chunks = features.chunk(len(self.fc_norm), dim=-1)
            normed = [norm(chunk) for norm, chunk in zip(self.fc_norm, chunks, strict=True)]
            features = torch.cat(normed, dim=-1)
        return torch.as_tensor(self.fc(features))

    def forward(
        self,
        embeds: Tensor,
        hidden: Tensor,
        positions: Tensor,
        mask: Tensor | None = None,
        cache: Cache | None = None,
    ) -> Tensor:
        """The state `[batch, tokens, hidden_size]` that is fed back at the next draft step.

        Parameters
        ----------
        embeds : Tensor
            `[batch, tokens, hidden_size]`, embeddings of the tokens after the features'.
        hidden : Tensor
            `[batch, tokens, hidden_size]` from `fuse` or from an earlier call.
        positions : Tensor
            int64 `[batch or 1, tokens]`.
        mask : Tensor or None
            bool `[batch or 1, 1, tokens, entries]`, True where visible, over all entries that
            the cache returns (without one, over `tokens`). None: each token sees the entries
            before it and itself.
        cache : Cache or None
            Gets this call's entries; they are counted by one `advance(tokens)`.
        """
        if self.config.generation != 3:
            hidden = torch.as_tensor(self.fc(torch.cat((embeds, hidden), dim=-1)))
        for layer in self.layers:
            hidden = layer(embeds, hidden, positions, self.rope, mask, cache)
        if cache is not None:
            cache.advance(embeds.shape[1])
        if self.config.reading.norm_output and self.norm is not None:
            return torch.as_tensor(self.norm(hidden))
        return hidden

    def logits(self, hidden_out: Tensor) -> Tensor:
        """Logits `[batch, tokens, draft_vocab_size]` of the states that `forward` returned."""
        assert self.lm_head is not None, "attach_lm_head comes first"
        if self.norm is not None and not self.config.reading.norm_output:
            hidden_out = self.norm(hidden_out)
        return torch.as_tensor(self.lm_head(hidden_out))

    def embed(self, tokens: Tensor) -> Tensor:
        """The head's own embeddings `[..., hidden_size]`; only where the reading says so."""
        assert self.embed_tokens is not None
        return torch.as_tensor(self.embed_tokens(tokens))

    def mask_embeds(self, embed: Callable[[Tensor], Tensor]) -> Tensor | None:
        """The embedding `[1, 1, hidden_size]` of a P-EAGLE head's slots; None for other heads.

        `embed` are the target's embeddings, for a head without its own.
        """
        if self.config.mask_token is None:
            return None
        token = torch.tensor([[self.config.mask_token]], device=self.fc.weight.device)
        return embed(token) if self.embed_tokens is None else self.embed(token)

    def to_target(self, ids: Tensor) -> Tensor:
        """Target ids of draft ids, any shape."""
        return ids if self.d2t is None else ids + self.d2t[ids]

    def attach_lm_head(self, lm_head: nn.Linear) -> None:
        """Draw logits with the target's `lm_head`, for a head without `config.own_lm_head`."""
        self.lm_head = lm_head

    def freeze(self) -> EagleHead:
        """No more training, on this device and in this dtype: norms take fewer operations."""
        self.eval().requires_grad_(False)
        for module in self.modules():
            if isinstance(module, RMSNorm):
                module.frozen = Norm(module.weight.detach(), module.eps)
        return self

    def traceable(self) -> EagleHead:
        """The same weights, shared, with nothing that a compiler would take for a constant.

        Raises
        ------
        UserError
            Its RoPE depends on the length of the text.
        """
        twin = self.variant(self.config.reading)
        twin.rope = Rope(self.config).as_module()
        return twin

    def variant(self, reading: HeadReading, attention: Attention | None = None) -> EagleHead:
        """The same weights and vocabulary, shared, under another reading (or kernel)."""
        with torch.device("meta"):
            twin = EagleHead(replace(self.config, reading=reading), attention or self.attention)
        if not self.config.own_lm_head:
            twin.lm_head = self.lm_head
        if reading.mapped:
            twin.d2t, twin.t2d = self.d2t, self.t2d
        held = self.state_dict()
        twin.load_state_dict({name: held[name] for name in twin.state_dict()}, assign=True)
        return twin.train(self.training)

    def set_vocabulary(self, target_ids: Tensor) -> None:
        """Let draft token i stand for `target_ids[i]` (int64 `[draft_vocab]`, distinct)."""
        own = torch.arange(len(target_ids), device=target_ids.device)
        self.d2t = target_ids - own
        t2d = torch.zeros(self.config.vocab_size, dtype=torch.bool, device=target_ids.device)
        t2d[target_ids] = True
        self.t2d = t2d
