"""Generated conversations as token sequences, with the benchmark's prompts held out."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from pathlib import Path

import torch
from tokenizers import Tokenizer
from torch import Tensor

from eagle_bench.training.tasks import FAMILIES, make_task
from eagle_bench.training.tasks.task import Task, split_key

USER, ASSISTANT, END, PAD = "<|user|>", "<|assistant|>", "<|end|>", "<|pad|>"
HELD_OUT_SEED = "held out"
PROMPTS_PER_FAMILY = 10


def held_out() -> list[Task]:
    """The benchmark's tasks: `PROMPTS_PER_FAMILY` of each family, families interleaved."""
    tasks = []
    for index in range(PROMPTS_PER_FAMILY):
        for family in FAMILIES:
            tasks.append(make_task(family, random.Random(f"{HELD_OUT_SEED} {family} {index}")))
    return tasks


def write_prompts(path: Path) -> None:
    """Save the held-out tasks in the field's `question_id, category, turns` JSONL form."""
    lines = [
        json.dumps(
            {
                "question_id": index,
                "category": task.family,
                "turns": list(task.turns),
                "reference": list(task.answers),
            }
        )
        for index, task in enumerate(held_out(), 1)
    ]
    path.write_text("\n".join(lines) + "\n")


def tasks(seed: str) -> Iterator[Task]:
    """Training tasks without end: shuffled rounds of all families, held-out prompts skipped."""
    rng = random.Random(seed)
    hidden = {split_key(task) for task in held_out()}
    names = list(FAMILIES)
    while True:
        rng.shuffle(names)
        for name in names:
            task = make_task(name, rng)
            if split_key(task) not in hidden:
                yield task


def conversation(task: Task) -> str:
    """The chat template's text of a whole conversation."""
    turns = zip(task.turns, task.answers, strict=True)
    return "".join(f"{USER}{user}{END}{ASSISTANT}{answer}{END}" for user, answer in turns)


def copy_drill(rng: random.Random, length: int, tokens: range) -> tuple[list[int], list[bool]]:
    """`length` ids in which random passages repeat, and which of them a copier can know."""
    ids: list[int] = []
    known: list[bool] = []
    while len(ids) < length:
        passage = [rng.choice(tokens) for _ in range(rng.randint(4, 48))]
        for repeat in range(rng.randint(2, 4)):
            ids += passage
            known += [repeat > 0 and place > 0 for place in range(len(passage))]
    return ids[:length], known[:length]


def token_id(tokenizer: Tokenizer, token: str) -> int:
    """The id of one of the special tokens."""
    found = tokenizer.token_to_id(token)
    assert found is not None
    return found


class Packer:
    """Sequences of exactly `seq_len + 1` tokens, each beginning with a conversation's start.

    Conversations follow one another without a border in the attention, so that a generation
    that is told to ignore EOS goes on with a new conversation.
    """

    def __init__(self, tokenizer: Tokenizer, seed: str) -> None:
        self.tokenizer = tokenizer
        self.stream = tasks(seed)
        self.assistant = token_id(tokenizer, ASSISTANT)
        self.end = token_id(tokenizer, END)

    def batch(self, rows: int, seq_len: int) -> tuple[Tensor, Tensor]:
        """Token ids `[rows, seq_len + 1]` and a mask, true on what the assistant says."""
        ids = torch.tensor([self._sequence(seq_len + 1) for _ in range(rows)])
        return ids, self.answer_mask(ids)

    def drilled(
        self, rows: int, seq_len: int, copy_share: float, seed: str
    ) -> tuple[Tensor, Tensor, Tensor]:
        """A batch whose first `copy_share` of rows are drills: ids, answers, drill mask."""
        ids, answers = self.batch(rows, seq_len)
        rng = random.Random(seed)
        drills = torch.zeros_like(answers)
        tokens = range(self.assistant + 1, self.tokenizer.get_vocab_size())
        for row in range(rows):
            if rng.random() < copy_share:
                drill, known = copy_drill(rng, seq_len + 1, tokens)
                ids[row], answers[row] = torch.tensor(drill), False
                drills[row] = torch.tensor(known)
        return ids, answers, drills

    def answer_mask(self, ids: Tensor) -> Tensor:
        """True where a token is an answer's or the EOS that ends it, `[rows, seq]`."""
        opens, closes = ids.eq(self.assistant), ids.eq(self.end)
        opened, closed = opens.cumsum(1), closes.cumsum(1)
        # Each turn has one ASSISTANT and two ENDs; inside an answer one END has passed.
        inside = (2 * opened - closed).eq(1) & ~opens
        last = closes & closed.eq(2 * opened)
        return inside | last

    def _sequence(self, length: int) -> list[int]:
        ids: list[int] = []
        while len(ids) < length:
            ids += self.tokenizer.encode(conversation(next(self.stream))).ids
        return ids[:length]
