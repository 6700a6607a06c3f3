"""The turns of one prompt: what the target is asked next, once it has answered so far."""

from __future__ import annotations

from dataclasses import dataclass, field

from eagle_bench.data.chat import opening
from eagle_bench.data.prompt import Prompt
from eagle_bench.engines.session import Session
from eagle_bench.records.generation import Request, turn_key


@dataclass
class Conversation:
    """A prompt and the answers to its turns so far.

    Attributes
    ----------
    turn : int
        The turn to be answered next; as many as the prompt has when all are.
    """

    session: Session
    prompt: Prompt
    turn: int = 0
    history: list[dict[str, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.history = opening(self.prompt)

    @property
    def over(self) -> bool:
        return self.turn == len(self.prompt.turns)

    def context(self) -> list[int]:
        """Token ids before the next answer."""
        return self.session.chat.encode(self.history)

    def request(self, gen_len: int) -> Request:
        """The next answer's request.

        Raises
        ------
        UserError
            It goes beyond the positions of target or drafter.
        """
        context = self.context()
        self.session.check_room(self.prompt, len(context), gen_len)
        return Request(turn_key(self.prompt.id, self.turn), context, gen_len)

    def answered(self, text: str) -> None:
        """The answer is known, and the next turn follows."""
        self.history.append({"role": "assistant", "content": text})
        self.turn += 1
        if not self.over:
            self.history.append({"role": "user", "content": self.prompt.turns[self.turn]})

    def generated(self, tokens: list[int]) -> None:
        """As `answered`, with the answer's token ids."""
        self.answered(self.session.chat.decode(tokens))
