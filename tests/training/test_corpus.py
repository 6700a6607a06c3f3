"""Packing: what counts as an answer, copy drills, and prompts kept out of training."""

import json
import random
from itertools import islice
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer

from eagle_bench.training.corpus import (
    ASSISTANT,
    END,
    PAD,
    USER,
    Packer,
    copy_drill,
    held_out,
    tasks,
    write_prompts,
)
from eagle_bench.training.tasks import FAMILIES, make_task
from eagle_bench.training.tokenizer import as_pretrained

LENGTHS = st.integers(min_value=1, max_value=4)
CONVERSATIONS = st.lists(
    st.lists(st.tuples(LENGTHS, LENGTHS), min_size=1, max_size=2), min_size=1, max_size=4
)
WORD = 100


@pytest.fixture(scope="session")
def packer(quick_tokenizer: Tokenizer) -> Packer:
    return Packer(quick_tokenizer, "test")


def laid_out(packer: Packer, conversations: list[list[tuple[int, int]]]) -> list[tuple[int, bool]]:
    """Tokens of conversations of (user words, answer words) turns; is each an answer's?"""
    user = packer.tokenizer.token_to_id(USER)
    tokens = []
    for turns in conversations:
        for asked, answered in turns:
            tokens += [(user, False), *[(WORD, False)] * asked, (packer.end, False)]
            tokens += [(packer.assistant, False), *[(WORD, True)] * answered, (packer.end, True)]
    return tokens


def test_answers_of_one_and_two_turns(packer: Packer) -> None:
    user, end, assistant = packer.tokenizer.token_to_id(USER), packer.end, packer.assistant
    once = [user, 9, end, assistant, 8, 7, end]
    twice = [*once, user, 9, 9, end, assistant, 8, end]
    mask = packer.answer_mask(torch.tensor([[*twice, *once], [*once, *twice]]))
    one, two = "0000111", "0000111" + "00000" + "11"
    assert ["".join(str(int(x)) for x in row) for row in mask] == [two + one, one + two]


@given(CONVERSATIONS, st.integers(min_value=1, max_value=60))
def test_answers_wherever_the_row_is_cut(
    packer: Packer, conversations: list[list[tuple[int, int]]], length: int
) -> None:
    tokens = laid_out(packer, conversations)[:length]
    mask = packer.answer_mask(torch.tensor([[token for token, _ in tokens]]))
    assert mask[0].tolist() == [answer for _, answer in tokens]


def test_a_row_holds_whole_conversations_from_the_stream(quick_tokenizer: Tokenizer) -> None:
    ids, answers = Packer(quick_tokenizer, "rows").batch(1, 1500)
    text = quick_tokenizer.decode(ids[0].tolist(), skip_special_tokens=False)
    said = quick_tokenizer.decode(ids[0][answers[0]].tolist(), skip_special_tokens=False)
    expected_text = expected_said = ""
    for task in islice(tasks("rows"), 40):
        for user, answer in zip(task.turns, task.answers, strict=True):
            expected_text += f"<|user|>{user}<|end|><|assistant|>{answer}<|end|>"
            expected_said += f"{answer}<|end|>"
    assert ids.shape == answers.shape == (1, 1501)
    assert expected_text.startswith(text)
    assert expected_said.startswith(said)
    assert len(said) > 300


def test_the_template_gives_the_training_text(quick_tokenizer: Tokenizer) -> None:
    tokenizer = as_pretrained(quick_tokenizer, 256)
    task = next(task for task in tasks("template") if len(task.turns) == 2)
    chat = []
    for user, answer in zip(task.turns, task.answers, strict=True):
        chat += [{"role": "user", "content": user}, {"role": "assistant", "content": answer}]
    whole = tokenizer.apply_chat_template(chat, return_dict=False)
    packer = Packer(quick_tokenizer, "template")
    packer.stream = iter([task])
    assert whole == packer.batch(1, len(whole) - 1)[0][0].tolist()
    opened = tokenizer.apply_chat_template(chat[:1], add_generation_prompt=True, return_dict=False)
    assert whole[: len(opened)] == opened


@given(st.text())
def test_any_text_survives_the_tokenizer(quick_tokenizer: Tokenizer, text: str) -> None:
    for special in (USER, ASSISTANT, END, PAD):
        text = text.replace(special, "")
    assert quick_tokenizer.decode(quick_tokenizer.encode(text).ids) == text


@given(st.integers(), st.integers(min_value=1, max_value=300))
def test_a_drills_known_tokens_can_be_copied(seed: int, length: int) -> None:
    ids, known = copy_drill(random.Random(seed), length, range(10, 500))
    assert len(ids) == len(known) == length
    pairs = list(zip(ids, ids[1:], strict=False))
    for place in range(1, length):
        if known[place]:
            assert pairs[place - 1] in pairs[: place - 1]


def test_drills_take_their_share_of_rows(quick_tokenizer: Tokenizer) -> None:
    packer = Packer(quick_tokenizer, "drills")
    ids, answers, drills = packer.drilled(200, 100, 0.25, "seed")
    drilled = drills.any(1)
    assert 30 <= drilled.sum() <= 70
    assert not (answers & drilled[:, None]).any()
    assert ids[drilled].min() > packer.assistant
    assert (ids[~drilled][:, 0] == quick_tokenizer.token_to_id(USER)).all()
    assert not packer.drilled(20, 40, 0.0, "seed")[2].any()


def test_held_out_prompts_are_never_trained_on() -> None:
    hidden = {task.turns for task in held_out()}
    stream = list(islice(tasks("0 17"), 4000))
    assert not hidden & {task.turns for task in stream}
    assert {task.family for task in stream} == set(FAMILIES)


def test_without_the_filter_they_would_be() -> None:
    hidden = {task.turns for task in held_out() if task.family == "facts"}
    rng = random.Random(0)
    assert hidden & {make_task("facts", rng).turns for _ in range(4000)}


def test_eighty_prompts_in_the_fields_form(tmp_path: Path) -> None:
    write_prompts(tmp_path / "prompts.jsonl")
    rows = [json.loads(line) for line in (tmp_path / "prompts.jsonl").open()]
    assert [row["question_id"] for row in rows] == list(range(1, 81))
    assert [row["category"] for row in rows] == list(FAMILIES) * 10
    assert len({json.dumps(row["turns"]) for row in rows}) == 80
    assert all(len(row["turns"]) == len(row["reference"]) for row in rows)
    write_prompts(tmp_path / "again.jsonl")
    assert (tmp_path / "again.jsonl").read_text() == (tmp_path / "prompts.jsonl").read_text()
