"""Whether the target can take each prompt, known before anything is measured."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from eagle_bench.data.chat import opening
from eagle_bench.data.prompt import Prompt
from eagle_bench.engines.session import Session
from eagle_bench.errors import UserError


def least_context(session: Session, prompt: Prompt) -> int:
    """Tokens before the last answer, were all answers before it empty.

    Raises
    ------
    UserError
        The template refuses the prompt, or a token has no row in the target's embedding.
    """
    first = _opening(session, prompt)
    later = [
        token
        for turn in prompt.turns[1:]
        for token in session.chat.tokenizer(turn, add_special_tokens=False)["input_ids"]
    ]
    last, rows = max(first + later, default=0), session.target.spec.vocab_size
    if last >= rows:
        raise UserError(
            f"prompt {prompt.id} has the token {last} "
            f"({session.chat.tokenizer.convert_ids_to_tokens(last)}), and the target's embedding "
            f"ends at {rows - 1}; give the tokenizer that the model was trained with."
        )
    return len(first) + len(later)


def check_rooms(session: Session, prompts: Iterable[Prompt], gen_len: int) -> None:
    """Raise `UserError` unless every prompt and `gen_len` fit into the session's positions."""
    for prompt in prompts:
        session.check_room(prompt.id, least_context(session, prompt), gen_len)


def rendered_sha256(session: Session, prompts: Iterable[Prompt]) -> str:
    """SHA-256 of the token ids of every prompt's first turn, in order."""
    digest = hashlib.sha256()
    for prompt in prompts:
        digest.update(f"{prompt.id}\0{_opening(session, prompt)}\n".encode())
    return digest.hexdigest()


def _opening(session: Session, prompt: Prompt) -> list[int]:
    try:
        return session.chat.encode(opening(prompt))
    except UserError as error:
        hint = (
            ""
            if prompt.system is None
            else " Without the prompt's system message, or with it in the first turn, it may do."
        )
        raise UserError(f"prompt {prompt.id}: {error}{hint}") from None
