"""Many texts at once from a target: rows side by side, padded in front."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

TOP_P = 0.95


@dataclass(frozen=True)
class Manner:
    """How texts are continued: greedily at temperature 0, else from 95% of the mass.

    No text ends before `min_tokens`; one of `max_tokens` may not have ended.
    """

    max_tokens: int
    min_tokens: int = 1
    temperature: float = 0.0


@torch.inference_mode()
def write(
    model: Any,
    openings: Sequence[Sequence[int]],
    manner: Manner,
    ends: frozenset[int],
    seed: int,
) -> list[list[int]]:
    """Let a transformers model continue every opening up to one of `ends`.

    Returns
    -------
    list of list of int
        The new tokens of each opening, its end token included.
    """
    longest = max(len(opening) for opening in openings)
    padded = [[0] * (longest - len(opening)) + list(opening) for opening in openings]
    shown = [[0] * (longest - len(opening)) + [1] * len(opening) for opening in openings]
    sampling = (
        {"do_sample": True, "temperature": manner.temperature, "top_p": TOP_P, "top_k": 0}
        if manner.temperature
        else {"do_sample": False}
    )
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        written = model.generate(
            torch.tensor(padded, device=model.device),
            attention_mask=torch.tensor(shown, device=model.device),
            max_new_tokens=manner.max_tokens,
            min_new_tokens=manner.min_tokens,
            eos_token_id=sorted(ends) or None,
            pad_token_id=0,
            **sampling,
        )
    return [_until_end(row[longest:], ends) for row in written.tolist()]


def _until_end(ids: list[int], ends: frozenset[int]) -> list[int]:
    for index, token in enumerate(ids):
        if token in ends:
            return ids[: index + 1]
    return ids
