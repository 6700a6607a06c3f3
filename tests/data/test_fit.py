"""What the target cannot take of a prompt, told by the prompt or left out."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from eagle_bench.data.chat import chat_format
from eagle_bench.data.prompt import Prompt, PromptSet
from eagle_bench.engines.fit import fitting, most_context, rendered_sha256
from eagle_bench.engines.session import Session
from eagle_bench.errors import UserError
from tests.data.test_chat import tokenizer

ROOM = 64
TEMPLATE = (
    "{% if messages[0].role == 'system' %}{{ raise_exception('No system') }}{% endif %}"
    "{% for m in messages %}{{ m.content }}{% endfor %}"
)


def session(vocab_size: int = len(tokenizer())) -> Any:
    spec = SimpleNamespace(vocab_size=vocab_size, max_positions=ROOM)
    drafter: Any = SimpleNamespace(max_positions=None)
    target: Any = SimpleNamespace(spec=spec)
    return Session(target, drafter, chat_format(tokenizer(TEMPLATE), "auto", None), {})


def fitted(*prompts: Prompt, gen_len: int = 4, **dataset: bool) -> PromptSet:
    choice = SimpleNamespace(**{"skip_bad": False, "skip_long": False} | dataset)
    config: Any = SimpleNamespace(dataset=choice, gen_len=gen_len)
    return fitting(PromptSet("mine", prompts, "", {}), session(), config)


def test_the_most_context_has_every_turn_and_the_longest_answers() -> None:
    one, two = (most_context(session(), Prompt("p", "c", t), 20) for t in (("Hi",), ("Hi", "Yo")))
    assert one == len("Hi")
    assert 20 <= two - len("HiYo") <= 20 + len("Yes, of course")


def test_a_token_beyond_the_embedding_is_named_with_its_prompt() -> None:
    last, most = max(tokenizer()("Hi")["input_ids"]), max(tokenizer().get_vocab().values())
    sentence = (
        rf"prompt p \(p.jsonl, line 3\): the token {last} .* the tokenizer has ids up to {most}, "
        f"the embedding {last} rows"
    )
    with pytest.raises(UserError, match=sentence):
        most_context(session(last), Prompt("p", "c", ("Hi",), where="p.jsonl, line 3"), 4)


GOOD = Prompt("good", "c", ("Hi",))
REFUSED = Prompt("p", "c", ("Hi",), system="Sys", where="p.jsonl, line 3")
LONG = Prompt("p", "c", ("Hi" * ROOM,), where="p.jsonl, line 3")
GROWS = Prompt("p", "c", ("Hi", "Yo", "Yo"), where="p.jsonl, line 3")


@pytest.mark.parametrize(
    ("prompt", "gen_len", "sentence"),
    [
        (REFUSED, 4, "chat_template=auto fails: No system. Without the prompt's system message"),
        (LONG, 4, "has 128 tokens, and gen_len=4 more go beyond the target's 64 positions"),
        (GROWS, 20, "can grow in its turns to .* tokens, and gen_len=20 more go beyond"),
    ],
)
def test_a_prompt_is_told_by_its_line(prompt: Prompt, gen_len: int, sentence: str) -> None:
    with pytest.raises(UserError, match=rf"^prompt p \(p.jsonl, line 3\):? {sentence}"):
        fitted(GOOD, prompt, gen_len=gen_len)


def test_prompts_are_left_out_where_asked() -> None:
    long = fitted(LONG, GOOD, GROWS, gen_len=20, skip_long=True)
    assert (long.prompts, long.skipped) == ((GOOD,), {"longer than the positions": 2})
    bad = fitted(GOOD, REFUSED, skip_bad=True)
    assert bad.prompts == (GOOD,)
    [(reason, count)] = bad.skipped.items()
    assert count == 1
    assert reason.startswith("a bad prompt (chat_template=auto fails: No system.")
    with pytest.raises(UserError, match="No prompt is left .*1 a bad prompt"):
        fitted(REFUSED, skip_bad=True)


def test_the_hash_follows_the_rendered_tokens() -> None:
    first, same, other = (
        rendered_sha256(session(), [Prompt("p", "c", (text,))]) for text in ("Hi", "Hi", "Yo")
    )
    assert first == same != other
