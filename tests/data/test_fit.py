"""What the target cannot take of a prompt, told by the prompt."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from eagle_bench.data.chat import chat_format
from eagle_bench.data.prompt import Prompt
from eagle_bench.engines.fit import least_context, rendered_sha256
from eagle_bench.errors import UserError
from tests.data.test_chat import tokenizer


def session(vocab_size: int) -> Any:
    spec = SimpleNamespace(vocab_size=vocab_size)
    return SimpleNamespace(
        chat=chat_format(tokenizer(), "none", None), target=SimpleNamespace(spec=spec)
    )


def test_the_least_context_is_the_opening_and_all_later_turns() -> None:
    whole = session(len(tokenizer()))
    one, two = (least_context(whole, Prompt("p", "c", turns)) for turns in (("Hi",), ("Hi", "Yo")))
    assert two == one + len(tokenizer()("Yo", add_special_tokens=False)["input_ids"])


def test_a_token_beyond_the_embedding_is_named_with_its_prompt() -> None:
    last = max(tokenizer()("Hi")["input_ids"])
    with pytest.raises(UserError, match=f"prompt p has the token {last} .* ends at {last - 1}"):
        least_context(session(last), Prompt("p", "c", ("Hi",)))


def test_the_hash_follows_the_rendered_tokens() -> None:
    whole = session(len(tokenizer()))
    first, same, other = (
        rendered_sha256(whole, [Prompt("p", "c", (text,))]) for text in ("Hi", "Hi", "Yo")
    )
    assert first == same != other
