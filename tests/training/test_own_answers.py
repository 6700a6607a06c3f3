"""A target writes its own answers: greedy, resumable, none to what must stay unseen."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import call

from eagle_bench import train
from eagle_bench.config.drafter import Eagle3Config
from eagle_bench.config.model import ModelConfig
from eagle_bench.config.values import DType
from eagle_bench.drafters.heads.load import load_head
from eagle_bench.models.load import load_target
from eagle_bench.training.answers import author, own
from eagle_bench.training.answers.author import Author
from eagle_bench.training.answers.exchange import read_exchanges
from eagle_bench.training.answers.grams import LENGTH, Unseen
from eagle_bench.training.answers.writer import Manner, write


@pytest.fixture(scope="module")
def target() -> Any:
    return load_target(ModelConfig(name="embedded"), DType.float32, torch.device("cpu"))


@pytest.fixture
def few_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(author, "ROWS", 2)


def test_rows_side_by_side_say_what_each_says_alone(target: Any) -> None:
    ends = target.spec.eos_ids
    openings = [
        target.tokenizer(text).input_ids
        for text in ("<|user|>Hi<|end|><|assistant|>", "<|user|>List three red things.<|end|>")
    ]
    together = write(target.model, openings, Manner(max_tokens=24), ends, seed=0)
    for opening, said in zip(openings, together, strict=True):
        ids = torch.tensor([opening + said])
        best = target.model(ids).logits.argmax(-1)[0, len(opening) - 1 : -1]
        assert best.tolist() == said
        assert len(said) == 24 or said[-1] in ends
        assert not ends & set(said[:-1])


def test_sampling_depends_on_its_seed_alone(target: Any) -> None:
    opening, manner = [target.tokenizer("<|user|>").input_ids], Manner(12, 1, temperature=1.0)
    first, again, other = (
        write(target.model, opening, manner, target.spec.eos_ids, seed) for seed in (1, 1, 2)
    )
    assert first == again != other


def test_quotes_are_found() -> None:
    unseen = Unseen([list(range(40)), [7] * (LENGTH - 1)])
    assert unseen.quoted_in([99, *range(20, 20 + LENGTH), 99])
    assert not unseen.quoted_in([99, *range(20, 19 + LENGTH), 99])
    assert not unseen.quoted_in([7] * (LENGTH - 1))


def test_answering_goes_on_where_it_was_interrupted(
    target: Any, tmp_path: Path, few_rows: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def few(self: Author, number: int) -> list[Any]:
        asked.append(number)
        turns = self._turns([self.before] * 4, ["List", "Write", "Name", "Text:"], number)
        return self._answers([self._prompt(turn) for turn in turns] or [[1]], number, Manner(8))

    asked: list[int] = []
    monkeypatch.setattr(Author, "wave", few)
    first = own.own_answers(target, tmp_path, 20, [], 200)
    assert sum(len(each.answer) for each in first) >= 20
    before = list(asked)
    assert own.own_answers(target, tmp_path, 20, [], 200) == first
    assert asked == before
    more = own.own_answers(target, tmp_path, 60, [], 200)
    assert more[: len(first)] == first
    assert asked == list(range(len(asked)))


def test_prompts_that_quote_an_unseen_file_are_left_out(
    target: Any, tmp_path: Path, few_rows: None
) -> None:
    longest = 400
    turn = "Alan has 50 maps and he gives 20 of the maps to Lucy on a cold day in the rain."
    writer = Author(target, own._unseen(target, []), longest)
    assert writer._answers([writer._prompt(turn)], 0, Manner(4))
    hidden = tmp_path / "hidden.jsonl"
    hidden.write_text(json.dumps({"prompt": f"Listen. {turn}"}) + "\n")
    strict = Author(target, own._unseen(target, [str(hidden)]), longest)
    assert not strict._answers([strict._prompt(turn)], 0, Manner(4))


def test_a_wave_of_real_exchanges(target: Any, few_rows: None, tmp_path: Path) -> None:
    unseen = own._unseen(target, [])
    made = Author(target, unseen, 512).wave(0)
    opening = target.tokenizer("<|user|>").input_ids
    for each in made:
        assert each.prompt_ids[: len(opening)] == opening
        assert len(each.ids) <= 512
        assert not unseen.quoted_in(each.prompt_ids)
    assert made
    own.write_exchanges(tmp_path / "wave.jsonl.gz", made)
    assert read_exchanges(tmp_path / "wave.jsonl.gz") == made


def test_the_command_writes_answers_first(few_rows: None, tmp_path: Path) -> None:
    given = ["training.data=self", "training.answer_tokens=50", "training.ttt_length=2"]
    given += ["training.phases=[{seq_len: 512, share: 1.0}]", "bf16=false", "threads=1"]
    budget = ["training.tokens=1024", "training.batch_tokens=512", "training.micro_tokens=512"]
    assert call(train.main, "training=eagle3", *given, *budget, f"output_dir={tmp_path}") == 0
    written = read_exchanges(tmp_path / "answers" / "00000.jsonl.gz")
    assert sum(len(each.answer) for each in written) >= 50
    assert load_head(Eagle3Config("eagle3", str(tmp_path))).config.draft_vocab_size == 512
