"""Texts for teacher forcing: contexts with the answers that a dataset or the target gives."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from eagle_bench.config.pair import ProxyConfig, Text
from eagle_bench.data.prompt import Prompt, PromptSet
from eagle_bench.decoding.build import plain_greedy
from eagle_bench.engines.conversation import Conversation
from eagle_bench.engines.session import Session
from eagle_bench.errors import UserError
from eagle_bench.figures.judged import Passage

NO_ANSWER = "no answer"
SHORT = "shorter than ttt_length"
LONG_CONTEXT = "longer than max_tokens"


@dataclass(frozen=True)
class Passages:
    """What the drafter is judged on.

    Attributes
    ----------
    text : Text
        `dataset` or `target`: whose answers they are.
    left_out : dict[str, int]
        Turns without a passage, by reason.
    """

    text: Text
    items: tuple[Passage, ...]
    left_out: dict[str, int]


def make_passages(session: Session, prompts: PromptSet, config: ProxyConfig) -> Passages:
    """A passage for every turn that has an answer and leaves room for one.

    Raises
    ------
    UserError
        The dataset's answers are asked for and it has none, or no turn fits.
    """
    answered = any(answer.strip() for each in prompts.prompts for answer in each.reference)
    if config.text is Text.dataset and not answered:
        raise UserError(
            f"dataset={prompts.name} has no answers to judge the drafter on; set text=target for "
            "the target's own output."
        )
    text = Text.dataset if answered and config.text is not Text.target else Text.target
    left_out: Counter[str] = Counter()
    items = tuple(
        passage
        for prompt in prompts.prompts
        for passage in _of_prompt(session, prompt, text, config, left_out)
    )
    if not items:
        reasons = ", ".join(f"{count} {reason}" for reason, count in left_out.items())
        raise UserError(f"No prompt is left to judge the drafter on ({reasons}).")
    return Passages(text, items, dict(left_out))


def _of_prompt(
    session: Session,
    prompt: Prompt,
    text: Text,
    config: ProxyConfig,
    left_out: Counter[str],
) -> Iterator[Passage]:
    """The turns in order; later ones see the answers of the same text."""
    talk = Conversation(session, prompt)
    answers = [*prompt.reference, *[""] * len(prompt.turns)]
    for turn, answer in enumerate(answers[: len(prompt.turns)]):
        request = talk.request(config.gen_len)
        context = request.tokens
        if len(context) >= config.max_tokens:
            left_out[LONG_CONTEXT] += 1
            return
        if text is Text.target:
            [said] = plain_greedy(session.target).generate([request])
            ids, answer = said.tokens, session.chat.decode(said.tokens)
        elif answer.strip():
            ids = session.chat.encode_answer(talk.history, answer, session.target.spec.stops)
        else:
            left_out[NO_ANSWER] += 1
            return
        room = min(config.max_tokens, *session.rooms().values()) - len(context)
        if len(context) + len(ids) > config.ttt_length + 1:
            yield Passage(prompt.id, turn, context, ids[:room])
        else:
            left_out[SHORT] += 1
        talk.answered(answer)
