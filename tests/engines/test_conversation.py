"""The turns of a prompt, one request after the other."""

from __future__ import annotations

from types import SimpleNamespace
from typing import cast

import pytest

from eagle_bench.data.chat import chat_format
from eagle_bench.data.prompt import Prompt
from eagle_bench.drafters.build import BuiltDrafter
from eagle_bench.drafters.nothing import NoDrafter
from eagle_bench.engines.conversation import Conversation
from eagle_bench.engines.session import Session
from eagle_bench.errors import UserError
from eagle_bench.models.target import Target
from tests.data.test_chat import tokenizer

ROOM = 64
SAID = [
    {"role": "system", "content": "Sys"},
    {"role": "user", "content": "Hi"},
    {"role": "assistant", "content": "y"},
    {"role": "user", "content": "Bye"},
]


@pytest.fixture
def talk() -> Conversation:
    chat = chat_format(tokenizer(), "none", None)
    target = cast(Target, SimpleNamespace(spec=SimpleNamespace(max_positions=ROOM)))
    session = Session(target, BuiltDrafter(NoDrafter()), chat, {})
    return Conversation(session, Prompt("p7", "c", ("Hi", "Bye"), system="Sys"))


def test_a_turn_sees_the_answers_before_it(talk: Conversation) -> None:
    chat = talk.session.chat
    first = talk.request(4)
    assert (first.key, first.gen_len) == ("p7/0", 4)
    assert first.tokens == chat.encode(SAID[:2])
    talk.generated(chat.tokenizer("y")["input_ids"])
    second = talk.request(4)
    assert second.key == "p7/1"
    assert second.tokens == chat.encode(SAID)
    assert not talk.over
    talk.answered("")
    assert talk.over


def test_a_turn_without_room_is_refused_by_its_prompt(talk: Conversation) -> None:
    with pytest.raises(UserError, match="prompt p7 has .* gen_len=.* go beyond"):
        talk.request(ROOM)
