"""Whether the target can take each prompt, known before anything is measured."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace

from eagle_bench.config.run import RunConfig
from eagle_bench.data.chat import all_turns, opening
from eagle_bench.data.prompt import Prompt, PromptSet
from eagle_bench.engines.session import Session
from eagle_bench.errors import UserError


def fitting(prompts: PromptSet, session: Session, config: RunConfig) -> PromptSet:
    """The prompts that the target can take; those that the settings leave out are counted.

    Raises
    ------
    UserError
        A prompt that the template refuses, or with a token beyond the target's embedding, unless
        `dataset.skip_bad`; one that may go beyond the positions, unless `dataset.skip_long`.
    """
    kept, skipped = [], Counter(prompts.skipped)
    room = min(session.rooms().values()) - config.gen_len
    for prompt in prompts.prompts:
        try:
            tokens = most_context(session, prompt, config.gen_len)
        except UserError as error:
            if not config.dataset.skip_bad:
                raise
            skipped[f"a bad prompt ({str(error).partition(': ')[2].rstrip('.')})"] += 1
            continue
        if tokens <= room:
            kept.append(prompt)
        elif config.dataset.skip_long:
            skipped["longer than the positions"] += 1
        else:
            has = "has" if len(prompt.turns) == 1 else "can grow in its turns to"
            session.check_room(prompt, tokens, config.gen_len, has)
    if not kept:
        reasons = ", ".join(f"{count} {reason}" for reason, count in skipped.items())
        raise UserError(f"No prompt is left to measure on ({reasons}); lower gen_len?")
    return replace(prompts, prompts=tuple(kept), skipped=dict(skipped))


def most_context(session: Session, prompt: Prompt, gen_len: int) -> int:
    """Tokens before the last answer, were all answers before it of `gen_len` tokens.

    Raises
    ------
    UserError
        The template refuses the prompt, or a token has no row in the target's embedding.
    """
    tokens = _encode(session, prompt, all_turns(prompt))
    last, rows = max(tokens, default=0), session.target.spec.vocab_size
    if last >= rows:
        tokenizer = session.chat.tokenizer
        raise UserError(
            f"{prompt}: the token {last} ({tokenizer.convert_ids_to_tokens(last)}) has no row in "
            f"the target's embedding: the tokenizer has ids up to "
            f"{max(tokenizer.get_vocab().values())}, the embedding {rows} rows; give the tokenizer "
            "of the model's training."
        )
    return len(tokens) + (len(prompt.turns) - 1) * gen_len


def rendered_sha256(session: Session, prompts: Iterable[Prompt]) -> str:
    """SHA-256 of the token ids of every prompt's first turn, in order."""
    digest = hashlib.sha256()
    for prompt in prompts:
        digest.update(f"{prompt.id}\0{_encode(session, prompt, opening(prompt))}\n".encode())
    return digest.hexdigest()


def _encode(session: Session, prompt: Prompt, history: list[dict[str, str]]) -> list[int]:
    try:
        return session.chat.encode(history)
    except UserError as error:
        hint = (
            ""
            if prompt.system is None
            else " Without the prompt's system message, or with it in the first turn, it may do."
        )
        raise UserError(f"{prompt}: {error}{hint}") from None
