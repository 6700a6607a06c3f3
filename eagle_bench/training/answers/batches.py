"""Exchanges of like length side by side, and what the target thinks at each of their places."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from eagle_bench.training.answers.exchange import Exchange


@dataclass(frozen=True)
class Batch:
    """Rows of tokens that end with an answer, padded behind.

    `ids` int64 `[rows, seq]`; `starts`, `ends` int64 `[rows]`: the answer's first place and
    the place behind its last.
    """

    ids: Tensor
    starts: Tensor
    ends: Tensor

    def answers(self) -> tuple[Tensor, Tensor]:
        """Rows and places, each int64 `[places]`, whose next token is an answer's."""
        place = torch.arange(self.ids.shape[1], device=self.ids.device)
        inside = (place >= self.starts[:, None] - 1) & (place < self.ends[:, None] - 1)
        rows, places = inside.nonzero(as_tuple=True)
        return rows, places


def batches(
    exchanges: list[Exchange], positions: int, longest: int, seed: int, device: torch.device
) -> list[Batch]:
    """All exchanges of at most `longest` tokens, in batches of about `positions`, shuffled."""
    fitting = sorted(
        (each for each in exchanges if len(each.ids) <= longest), key=lambda each: len(each.ids)
    )
    made, rows = [], list[Exchange]()
    for each in fitting:
        if rows and (len(rows) + 1) * len(each.ids) > positions:
            made.append(_batch(rows, device))
            rows = []
        rows.append(each)
    if rows:
        made.append(_batch(rows, device))
    Random(f"batches {seed}").shuffle(made)
    return made


def _batch(rows: list[Exchange], device: torch.device) -> Batch:
    width = max(len(each.ids) for each in rows)
    return Batch(
        torch.tensor([each.ids + [0] * (width - len(each.ids)) for each in rows], device=device),
        torch.tensor([len(each.prompt_ids) for each in rows], device=device),
        torch.tensor([len(each.ids) for each in rows], device=device),
    )


@dataclass(frozen=True)
class Thoughts:
    """The target's features of a batch, `[rows, seq, 3 * hidden]`, and for its `answers()` the
    normed final states `[places, hidden]` and best tokens int64 `[places]`."""

    features: Tensor
    final: Tensor
    best: Tensor


class Reader:
    """Computes a batch's thoughts at their first use and keeps them in `folder`, in bfloat16,
    so that later epochs cost the head's work alone."""

    def __init__(self, model: Any, layers: tuple[int, ...], folder: Path) -> None:
        self.model, self.layers, self.folder = model, layers, folder
        folder.mkdir(parents=True, exist_ok=True)

    def read(self, index: int, batch: Batch) -> Thoughts:
        path = self.folder / f"{index:06d}.safetensors"
        if path.exists():
            return Thoughts(**load_file(path, device=str(batch.ids.device)))
        thoughts = self._think(batch)
        partial = path.with_suffix(".partial")
        save_file(vars(thoughts), partial)
        partial.replace(path)
        return thoughts

    @torch.no_grad()
    def _think(self, batch: Batch) -> Thoughts:
        seen = self.model.get_decoder()(
            input_ids=batch.ids, use_cache=False, output_hidden_states=True
        )
        features = torch.cat([seen.hidden_states[layer] for layer in self.layers], dim=-1)
        final = seen.last_hidden_state[batch.answers()]
        best = self.model.get_output_embeddings()(final).argmax(-1)
        return Thoughts(features.to(torch.bfloat16), final.to(torch.bfloat16), best)
