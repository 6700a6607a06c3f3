"""A target's own answers, written wave after wave and kept on disk."""

from __future__ import annotations

import time
from pathlib import Path

from rich.console import Console

from eagle_bench.config.dataset import DatasetConfig
from eagle_bench.data.loader import load_prompts
from eagle_bench.models.target import Target
from eagle_bench.training.answers.author import Author
from eagle_bench.training.answers.exchange import Exchange, read_exchanges, write_exchanges
from eagle_bench.training.answers.grams import Unseen

SHIPPED = ("embedded", "six_groups")
MANY = 1_000_000


def own_answers(
    target: Target, folder: Path, tokens: int, unseen: list[str], longest: int
) -> list[Exchange]:
    """Exchanges of at least `tokens` answer tokens, those in `folder` first.

    A wave's file is written whole and depends on its number alone, so an interrupted writing
    goes on behind the last one.

    Parameters
    ----------
    unseen : list of str
        Files of prompts that no training prompt may quote, beside those that ship.
    longest : int
        Tokens of a prompt with its answer, at most.
    """
    folder.mkdir(parents=True, exist_ok=True)
    author = Author(target, _unseen(target, unseen), longest)
    made: list[Exchange] = []
    written, number, began, console = 0, 0, time.perf_counter(), Console(stderr=True)
    while sum(len(each.answer) for each in made) < tokens:
        path = folder / f"{number:05d}.jsonl.gz"
        if not path.exists():
            wave = author.wave(number)
            write_exchanges(path, wave)
            written += sum(len(each.answer) for each in wave)
            seconds = time.perf_counter() - began
            console.print(
                f"wave {number}: {written:,} answer tokens written, {written / seconds:,.0f}/s"
            )
        made += read_exchanges(path)
        number += 1
    return made


def _unseen(target: Target, files: list[str]) -> Unseen:
    sources = [DatasetConfig(name=name) for name in SHIPPED]
    sources += [DatasetConfig(name="jsonl", path=file) for file in files]
    prompts = [each for source in sources for each in load_prompts(source, MANY, 0).prompts]
    texts = [turn for prompt in prompts for turn in prompt.turns]
    return Unseen(target.tokenizer(text, add_special_tokens=False).input_ids for text in texts)
