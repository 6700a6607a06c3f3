"""What the decoding loop asks of a target, whichever implementation runs it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor, nn

from eagle_bench.models.cache import KVCache


@dataclass(frozen=True)
class ModelShape:
    """A target's sizes, from its `config.json` alone."""

    hidden_size: int
    vocab_size: int
    num_layers: int


@dataclass(frozen=True)
class TargetSpec:
    """What a drafter and the loop must know of a target.

    `aux_layers` are the boundaries whose state is a feature: the input of layer i, with
    `num_layers` the residual behind the last layer and `num_layers + 1` the same after the final
    norm (which transformers shows as `hidden_states[num_layers]`). `packed_from_rows`: calls of so
    many rows and more multiply packed weights (None: no call does). `eos_ids` are the config's end
    tokens, `turn_end` is the one with which a chat template ends an answer. `remarks` are sentences
    that a person should read.
    """

    name: str
    architecture: str
    implementation: str
    hidden_size: int
    vocab_size: int
    num_layers: int
    max_positions: int
    eos_ids: frozenset[int]
    parameters: int
    weight_bytes: int
    dtype: torch.dtype
    device: torch.device
    aux_layers: tuple[int, ...]
    packed_from_rows: int | None = None
    remarks: tuple[str, ...] = ()
    turn_end: int | None = None

    @property
    def stops(self) -> frozenset[int]:
        """The tokens behind which an answer ends."""
        return self.eos_ids if self.turn_end is None else self.eos_ids | {self.turn_end}


State = KVCache
"""What a target keeps of the tokens it has seen; `Target.state` makes it."""


class Step(NamedTuple):
    """One target call: logits `[batch, q, vocab]`, features `[batch, q, aux * hidden]`."""

    logits: Tensor
    features: Tensor | None


class Target(Protocol):
    """A causal language model that appends to a `KVCache` and can show its features."""

    spec: TargetSpec
    tokenizer: Any

    @property
    def lm_head(self) -> nn.Linear:
        """The output projection, for heads that ship none."""
        ...

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
        """One target call; its keys and values stay pending in `cache`.

        Parameters
        ----------
        tokens, positions : Tensor
            int64 `[batch, q]`.
        mask : Tensor or None
            bool `[batch, 1, q, kv]`, true where a query sees a key, `kv` being the entries
            that `cache` shows after this call. None means causal on an empty cache, or
            everything for a single query.
        features : bool
            Also return the concatenated inputs of the `aux_layers`.
        last_only : bool
            Logits of the last query only, `[batch, 1, vocab]`.
        """
        ...

    def state(self, batch: int, capacity: int) -> KVCache:
        """An empty cache for `batch` rows of up to `capacity` tokens."""
        ...

    def embed(self, tokens: Tensor) -> Tensor:
        """The target's token embeddings, `[..., hidden]`."""
        ...

    def set_aux_layers(self, layers: tuple[int, ...]) -> None:
        """Choose the boundaries whose states are the features (`TargetSpec.aux_layers`)."""
        ...


EAGLE3_LAYERS = 7
"""The fewest layers of a target whose three default features differ."""


def default_aux_layers(num_layers: int) -> tuple[int, int, int]:
    """EAGLE-3's three feature layers: 2, the middle, and three from the end."""
    return (2, num_layers // 2, num_layers - 3)
