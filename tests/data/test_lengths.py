"""Prompts of a length in tokens, from real ones."""

from __future__ import annotations

import pytest
from transformers import AutoTokenizer

from eagle_bench import assets
from eagle_bench.config.dataset import DatasetConfig
from eagle_bench.data.chat import ChatFormat, chat_format, opening
from eagle_bench.data.loader import load_prompts
from eagle_bench.data.prompt import PromptSet
from eagle_bench.engines.lengths import SLACK, to_length
from eagle_bench.errors import UserError


@pytest.fixture(scope="module")
def chat() -> ChatFormat:
    return chat_format(AutoTokenizer.from_pretrained(assets.TARGET), "auto")


def prompts(tokens: int | None, count: int = 6) -> PromptSet:
    return load_prompts(DatasetConfig("embedded", prompt_tokens=tokens), count, 0)


@pytest.mark.parametrize("tokens", [12, 40, 300])
def test_each_is_cut_or_joined_to_the_length(tokens: int, chat: ChatFormat) -> None:
    given = prompts(tokens)
    made = to_length(given, chat, tokens)
    sizes = [len(chat.encode(opening(each))) for each in made.prompts]
    assert all(tokens - SLACK <= size <= tokens for size in sizes)
    assert sum(size == tokens for size in sizes) >= len(sizes) / 2
    assert [each.id for each in made.prompts] == [each.id for each in given.prompts]
    for before, after in zip(given.prompts, made.prompts, strict=True):
        [old], [new] = before.turns, after.turns
        assert new.startswith(old) or old.startswith(new)


def test_the_files_other_prompts_are_what_is_joined(chat: ChatFormat) -> None:
    """The last prompt goes on with the first, and nothing stands in one twice."""
    given = prompts(1, 80)
    assert (len(given.prompts), given.behind) == (80, ())
    last = to_length(given, chat, 200).prompts[-1].turns[0]
    parts = last.split("\n\n")
    assert parts[0] == given.prompts[-1].turns[0].split("\n\n")[0]
    assert given.prompts[0].turns[0] in last
    assert len(prompts(1, 6).behind) == 74
    assert prompts(None, 6).behind == ()


def test_too_little_and_too_much_are_told(chat: ChatFormat) -> None:
    with pytest.raises(UserError, match="=2 leaves no room .* the chat template alone takes"):
        to_length(prompts(2), chat, 2)
    with pytest.raises(UserError, match="more text than the dataset holds: its 80 prompts have"):
        to_length(prompts(100_000), chat, 100_000)
    with pytest.raises(UserError, match="multi_turn=false"):
        DatasetConfig("embedded", prompt_tokens=8, multi_turn=True)
