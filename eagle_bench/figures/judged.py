"""Tokens and what was predicted for them, ready to be judged."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from eagle_bench.records.generation import turn_key


@dataclass(frozen=True)
class Passage:
    """One turn: the token ids before the assistant speaks, and what it says."""

    prompt_id: str
    turn: int
    context: list[int]
    answer: list[int]

    @property
    def key(self) -> str:
        return turn_key(self.prompt_id, self.turn)


@dataclass(frozen=True)
class Forced:
    """A drafter and its target over one answer of n judged tokens.

    Attributes
    ----------
    tokens, choices : int64[n]
        The text's tokens, and what the target would have said in their place.
    drafted : int64[positions, n]
        The drafter's best token in that place, as a target id.
    losses : float32[positions, n]
        Cross-entropy (nats) to the target's distribution over what the drafter can propose:
        the training's loss.
    counted : bool[n]
        Where the drafter can propose the target's choice; elsewhere training has no loss.
    """

    tokens: NDArray[np.int64]
    choices: NDArray[np.int64]
    drafted: NDArray[np.int64]
    losses: NDArray[np.float32]
    counted: NDArray[np.bool_]

    @property
    def hits(self) -> NDArray[np.bool_]:
        """Where the drafter has the target's choice: bool[positions, n]."""
        return np.asarray(self.drafted == self.choices, dtype=np.bool_)
