"""The types every task family shares."""

import hashlib
import random
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class Task:
    """A conversation: user messages and the assistant's reply to each."""

    family: str
    turns: tuple[str, ...]
    answers: tuple[str, ...]


class Family(Protocol):
    """What a family module offers."""

    def make(self, rng: random.Random) -> Task:
        """Draw one task."""

    def correct(self, task: Task, turn: int, answer: str) -> bool:
        """Tell whether `answer` is right for the given turn."""


def split_key(task: Task) -> str:
    """Identify the prompt, so that held-out prompts can be kept out of training."""
    return hashlib.sha256("\n".join((task.family, *task.turns)).encode()).hexdigest()
