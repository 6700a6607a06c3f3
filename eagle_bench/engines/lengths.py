"""Prompts of one length in tokens, made of a dataset's own text: joined, or cut."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from eagle_bench.data.chat import ChatFormat, opening
from eagle_bench.data.prompt import Prompt, PromptSet
from eagle_bench.errors import UserError

BETWEEN = "\n\n"
SLACK = 2
"""Tokens by which the ends of a cut text may come out shorter."""


def to_length(prompts: PromptSet, chat: ChatFormat, tokens: int) -> PromptSet:
    """Each prompt cut, or joined with those behind it in the file, to `tokens` of context.

    Behind the file's last prompt its first follows, so prompts may share text; within one no text
    stands twice. A prompt whose end cannot be cut exactly has a token or two less.

    Raises
    ------
    UserError
        The file holds less text, or the template alone takes so many tokens.
    """
    texts = [each.turns[0] for each in (*prompts.prompts, *prompts.behind)]
    made = tuple(
        _of_length(prompt, [*texts[index:], *texts[:index]], chat, tokens)
        for index, prompt in enumerate(prompts.prompts)
    )
    return replace(prompts, prompts=made, behind=())


def _of_length(prompt: Prompt, texts: Sequence[str], chat: ChatFormat, tokens: int) -> Prompt:
    def ids_of(text: str) -> list[int]:
        return list(chat.tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"])

    taken, count = 0, 0
    while count < tokens and taken < len(texts):
        count += len(ids_of(texts[taken]))
        taken += 1
    ids = ids_of(BETWEEN.join(texts[:taken]))
    around = len(chat.encode(opening(prompt))) - len(ids_of(prompt.turns[0]))
    wanted = tokens - around
    if wanted < 1:
        raise UserError(
            f"dataset.prompt_tokens={tokens} leaves no room for a prompt: the chat template alone "
            f"takes {around} tokens."
        )
    if wanted > len(ids):
        raise UserError(
            f"dataset.prompt_tokens={tokens} is more text than the dataset holds: its {len(texts)} "
            f"prompts have {len(ids)} tokens in all; take a longer file."
        )
    for keep in range(wanted + SLACK, 0, -1):
        cut = replace(prompt, turns=(chat.tokenizer.decode(ids[:keep]),), reference=())
        if len(chat.encode(opening(cut))) <= tokens:
            return cut
    raise AssertionError("a prompt of one token is longer than the template and one token")
