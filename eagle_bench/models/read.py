"""One pass over a text, on a cache that is thrown away."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from eagle_bench.models.target import Step, Target


def read(target: Target, tokens: Sequence[int] | Tensor, *, features: bool = False) -> Step:
    """Logits `[1, n, vocab]`, and features if wanted, of `target` over all n tokens at once.

    Parameters
    ----------
    tokens : sequence of int or Tensor
        Token ids, or int64 `[1, n]`.
    """
    ids = torch.as_tensor(tokens, device=target.spec.device).reshape(1, -1)
    positions = torch.arange(ids.shape[1], device=ids.device)[None]
    cache = target.state(1, ids.shape[1])
    return target.forward(ids, positions, None, cache, features=features)
