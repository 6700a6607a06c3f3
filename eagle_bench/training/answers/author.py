"""Conversations that a target writes by itself: the user's turns drawn, its answers greedy."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Any

from eagle_bench.training.answers.exchange import Exchange
from eagle_bench.training.answers.grams import Unseen
from eagle_bench.training.answers.openings import QUESTIONS, REPORTS, opening
from eagle_bench.training.answers.writer import Manner, write

PLACE = "\u2603"
"""Stands for a message while the chat template is asked what it writes around one."""

ROWS = 48
TURN = Manner(max_tokens=64, min_tokens=4, temperature=1.0)
REPORT = Manner(max_tokens=320, min_tokens=100, temperature=0.9)


class Author:
    """Writes waves of exchanges in Spec-Bench's six groups; a wave depends on its number alone.

    Parameters
    ----------
    unseen : Unseen
        Prompts that quote one of its texts are left out.
    longest : int
        Tokens of a prompt with its answer, at most.
    """

    def __init__(self, target: Any, unseen: Unseen, longest: int) -> None:
        self.target, self.unseen, self.longest = target, unseen, longest
        self.tokenizer: Any = target.tokenizer
        user = {"role": "user", "content": PLACE}
        shown = self.tokenizer.apply_chat_template(
            [user], tokenize=False, add_generation_prompt=True
        )
        self.before, self.after = shown.split(PLACE)
        said = {"role": "assistant", "content": PLACE}
        talk = self.tokenizer.apply_chat_template([user, said, user], tokenize=False)
        self.between = talk.split(PLACE)[2]

    def wave(self, number: int) -> list[Exchange]:
        """About `8 * ROWS` exchanges, fewer where turns did not end or do not fit."""
        random = Random(f"wave {number}")
        made = []
        for index, group in enumerate(("translation", "mathematics", "questions", "chat")):
            begun = [opening(group, random) for _ in range(ROWS)]
            turns = self._turns([self.before] * ROWS, begun, number * 10 + index)
            made += self._answers([self._prompt(turn) for turn in turns], number)
        made += self._second(made[-ROWS // 2 :], number * 10 + 5)
        begun = [random.choice(REPORTS) for _ in range(ROWS)]
        asked = self._turns([self.before] * ROWS, begun, number * 10 + 6)
        reports = self._answers([self._prompt(turn) for turn in asked], number, REPORT)
        texts = [" ".join(self._text(each.answer).split()) for each in reports]
        made += reports
        made += self._answers([self._prompt(f"Summarize: {text}") for text in texts], number)
        begun = [random.choice(QUESTIONS).capitalize() for _ in texts]
        lead = [f"{self.before}{text}\n" for text in texts]
        turns = self._turns(lead, begun, number * 10 + 7)
        return made + self._answers([self._prompt(turn) for turn in turns], number)

    def _turns(self, lead: Sequence[str], begun: Sequence[str], seed: int) -> list[str]:
        """User messages that begin so, drawn to their end behind `lead`; those that ended."""
        starts = [a + b for a, b in zip(lead, begun, strict=True)]
        openings = [self._ids(text) for text in starts]
        written = self._write(openings, TURN, seed)
        return [
            (text + self._text(more)).removeprefix(self.before).strip()
            for text, more in zip(starts, written, strict=True)
            if self._ended(more)
        ]

    def _second(self, first: Sequence[Exchange], seed: int) -> list[Exchange]:
        """What the user says next, and the answer."""
        between, after = self._ids(self.between), self._ids(self.after)
        lead = [each.ids[:-1] + between for each in first if self._ended(each.answer)]
        said = self._write(lead, TURN, seed)
        prompts = [a + b[:-1] + after for a, b in zip(lead, said, strict=True) if self._ended(b)]
        return self._answers(prompts, seed)

    def _answers(
        self, prompts: Sequence[list[int]], seed: int, manner: Manner | None = None
    ) -> list[Exchange]:
        manner = manner or Manner(max_tokens=256)
        room = self.longest - manner.max_tokens
        clean = [ids for ids in prompts if len(ids) <= room and not self.unseen.quoted_in(ids)]
        written = self._write(clean, manner, seed)
        return [Exchange(prompt, said) for prompt, said in zip(clean, written, strict=True)]

    def _write(self, openings: Sequence[list[int]], manner: Manner, seed: int) -> list[list[int]]:
        if not openings:
            return []
        ends = self.target.spec.eos_ids
        return write(self.target.model, openings, manner, ends, seed)

    def _prompt(self, turn: str) -> list[int]:
        return self._ids(self.before + turn + self.after)

    def _ended(self, ids: Sequence[int]) -> bool:
        return ids[-1] in self.target.spec.eos_ids

    def _ids(self, text: str) -> list[int]:
        ids: list[int] = self.tokenizer(text, add_special_tokens=False).input_ids
        return ids

    def _text(self, ids: Sequence[int]) -> str:
        text: str = self.tokenizer.decode(ids, skip_special_tokens=True)
        return text
