"""Teacher forcing: what the target thinks of an output that another arm produced."""

from __future__ import annotations

import torch

from eagle_bench.models.read import read
from eagle_bench.models.target import Target


@torch.inference_mode()
def divergence_gaps(target: Target, prompt: list[int], output: list[int]) -> list[float]:
    """The target's top-2 logit gap wherever `output` is not its best token.

    Infinity where the token is not even second best: no rounding explains that.
    """
    context = [*prompt, *output[:-1]]
    logits = read(target, context).logits[0]
    best = logits[len(prompt) - 1 :].float().topk(2, dim=-1)
    gaps = []
    for token, ids, values in zip(output, best.indices.tolist(), best.values.tolist(), strict=True):
        if token == ids[1]:
            gaps.append(values[0] - values[1])
        elif token != ids[0]:
            gaps.append(float("inf"))
    return gaps
