"""Does a server run the target that our loop runs? Its first answers, as our target reads them."""

from __future__ import annotations

from collections.abc import Sequence

from eagle_bench.config.run import RunConfig
from eagle_bench.data.prompt import Prompt
from eagle_bench.engines.conversation import Conversation
from eagle_bench.engines.session import Session
from eagle_bench.errors import UserError
from eagle_bench.measure.grading import TIE_GAPS
from eagle_bench.measure.teacher import divergence_gaps
from eagle_bench.records.generation import Arm

PROMPTS, TOKENS = 3, 32
STRANGE = 0.25
"""Share of tokens that are not the target's best: other arithmetic or quantised weights change
fewer, another model more."""


def check_same_target(
    config: RunConfig, session: Session, prompts: Sequence[Prompt], arms: Sequence[Arm]
) -> None:
    """Ask each server for the beginnings of a few answers.

    Raises
    ------
    UserError
        More than `STRANGE` of a server's tokens are not what our target says there.
    """
    tie_gap = TIE_GAPS[session.target.spec.dtype]
    for arm in arms:
        strange, asked = 0, 0
        for prompt in prompts[:PROMPTS]:
            request = Conversation(session, prompt).request(min(TOKENS, config.gen_len))
            [said] = arm.generate([request])
            gaps = divergence_gaps(session.target, request.tokens, said.tokens)
            strange += sum(gap > tie_gap for gap in gaps)
            asked += len(said.tokens)
        if strange > STRANGE * asked:
            raise UserError(
                f"the server of the arm {arm.name} serves another model than "
                f"{config.model.path or config.model.name}: of the first {asked} tokens that it "
                f"generated, {strange} are not what that target says there."
            )
