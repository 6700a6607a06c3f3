"""A target's call and transformers' own, over texts that the tests share."""

from __future__ import annotations

from typing import Any

import torch
from tiny_models import VOCAB
from torch import Tensor

from eagle_bench.models.cache import KVCache
from eagle_bench.models.target import Step

PARENTS = [0, 0, 1, 1, 2, 3, 6]
"""A tree of seven drafts."""


def texts(batch: int, length: int) -> Tensor:
    return torch.randint(VOCAB, (batch, length), generator=torch.Generator().manual_seed(batch))


def plain(model: Any, tokens: Tensor) -> tuple[Tensor, Tensor]:
    """transformers' own call without cache: logits, and the three hidden states of EAGLE-3."""
    output = model(tokens, output_hidden_states=True, use_cache=False)
    layers = model.config.num_hidden_layers
    taken = [output.hidden_states[i] for i in (2, layers // 2, layers - 3)]
    return output.logits, torch.cat(taken, -1)


def run(target: Any, tokens: Tensor, cache: KVCache, start: int, mask: Tensor | None) -> Step:
    positions = torch.arange(start, start + tokens.shape[1]).expand(tokens.shape)
    return target.forward(tokens, positions, mask, cache, features=True)


def close(actual: Tensor | None, expected: Tensor) -> None:
    torch.testing.assert_close(actual, expected, rtol=2e-4, atol=2e-4)
