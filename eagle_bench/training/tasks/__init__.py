"""The generated instruction corpus: eight task families with checkable answers."""

import random

from eagle_bench.training.tasks import (
    arithmetic,
    code,
    extract,
    facts,
    rewrite,
    sequence,
    story,
    table,
)
from eagle_bench.training.tasks.task import Family, Task, split_key

__all__ = ["FAMILIES", "Family", "Task", "correct", "make_task", "split_key"]

FAMILIES: dict[str, Family] = {
    "arithmetic": arithmetic,
    "extract": extract,
    "code": code,
    "table": table,
    "rewrite": rewrite,
    "story": story,
    "sequence": sequence,
    "facts": facts,
}


def make_task(family: str, rng: random.Random) -> Task:
    """Draw one task of the named family."""
    return FAMILIES[family].make(rng)


def correct(task: Task, turn: int, answer: str) -> bool:
    """Tell whether `answer` is right for the given turn of the task."""
    return FAMILIES[task.family].correct(task, turn, answer)
