"""Does an engine run the head as our loop does? The same prompts in both, count for count.

Where the counts differ, our loop drafts with the head read otherwise (`probe/readings.py`), until
one reading gives the engine's counts: then that is how the engine reads it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

import torch

from eagle_bench.config.run import RunConfig
from eagle_bench.config.values import dtype_name
from eagle_bench.data.prompt import Prompt
from eagle_bench.decoding.build import build_speculative
from eagle_bench.drafters.eagle3 import Eagle3Drafter
from eagle_bench.drafters.heads.gguf import misordered
from eagle_bench.drafters.heads.head import EagleHead
from eagle_bench.engines.build import dialect_of
from eagle_bench.engines.conversation import Conversation
from eagle_bench.engines.session import Session
from eagle_bench.figures.engine_gap import engine_gap
from eagle_bench.figures.statistics import Sampling
from eagle_bench.measure.probe.readings import as_read, readings
from eagle_bench.records.counts import Counts
from eagle_bench.records.generation import BASELINE, Generation, Request
from eagle_bench.records.rows import GenerationRow

Asked = Sequence[tuple[Request, Counts]]
"""What the engine was asked, and what it counted."""


def conformance(
    config: RunConfig, session: Session, prompts: Sequence[Prompt], rows: Sequence[GenerationRow]
) -> dict[str, Any] | None:
    """The `engine_gap` part of a summary, over the first repeat of the engine's rows.

    Returns
    -------
    dict or None
        None where the engine does not tell its rounds. Else `EngineGap`'s fields; `same_tokens`,
        the generations whose tokens are our loop's; `reading`, the one whose counts are the
        engine's (None: no gap, or none found); `by_rounding`, whether a dtype below float32
        explains that counts differ; `sentence`.
    """
    head = session.drafter.head
    assert head is not None
    answers = list(_answers(config, session, prompts, rows))
    if any(row.rounds is None or row.accepted_at is None for _, row in answers):
        return None
    asked = [(request, counts_of(row)) for request, row in answers]
    own = [_run(config, session, head, request) for request, _ in asked]
    measure = config.measure
    gap = engine_gap(
        [counts for _, counts in asked],
        [_expected(config, generation) for generation in own],
        Sampling(config.seed, measure.bootstrap_resamples, measure.confidence),
    )
    same = sum(each.tokens == row.token_ids for each, (_, row) in zip(own, answers, strict=True))
    dtype = session.target.spec.dtype
    by_rounding = not gap.exact and dtype is not torch.float32 and gap.holds_one
    reading = None if gap.exact or by_rounding else reading_of(config, session, asked)
    sentence = (
        f"{config.engine.name} accepts {gap.pooled:.2f} times what our loop does"
        if gap.pooled is not None
        else f"{config.engine.name} had no round to compare"
    ) + f": the counts of {gap.equal_prompts} of {gap.prompts} generations are equal"
    if reading is not None:
        sentence += f", and all are once our loop reads the head with {reading}"
    elif by_rounding:
        name = dtype_name(dtype)
        sentence += f", and {name} explains the others: {gap.low:.3f} to {gap.high:.3f} holds 1"
    elif not gap.exact:
        sentence += ", and no other reading of the head gives the engine's"
    if same < gap.prompts:
        sentence += (
            f"; the tokens of {gap.prompts - same} are not our loop's, by other arithmetic or "
            "another model"
        )
    return asdict(gap) | {
        "same_tokens": same,
        "reading": reading,
        "by_rounding": by_rounding,
        "sentence": f"{sentence}.",
    }


def reading_of(config: RunConfig, session: Session, asked: Asked) -> str | None:
    """The name of the first reading under which our loop counts what the engine counted."""
    head, before = session.drafter.head, session.target.spec.aux_layers
    assert head is not None
    try:
        for name, other, aux in _others(head, session.target.spec.num_layers):
            session.target.set_aux_layers(aux)
            if all(
                _expected(config, _run(config, session, other, request)) == counts
                for request, counts in asked
            ):
                return name
    finally:
        session.target.set_aux_layers(before)
    return None


def _others(head: EagleHead, layers: int) -> Iterator[tuple[str, EagleHead, tuple[int, ...]]]:
    """The head under each other reading, with its name and the boundaries that it reads."""
    here = as_read(head.config, layers)
    for each in readings(here, layers):
        yield each.name, head.variant(each.config.reading), each.aux
    yield "rows of q and k in another order", misordered(head), here.aux


def _answers(
    config: RunConfig, session: Session, prompts: Sequence[Prompt], rows: Sequence[GenerationRow]
) -> Iterator[tuple[Request, GenerationRow]]:
    """Each request to the drafting server with its row, turn by turn."""
    spoken = {row.key: row for row in rows if row.arm != BASELINE and not row.repeat}
    for prompt in prompts:
        talk = Conversation(session, prompt)
        while not talk.over:
            request = talk.request(config.gen_len)
            row = spoken[request.key]
            yield request, row
            talk.generated(row.token_ids)


def _run(config: RunConfig, session: Session, head: EagleHead, request: Request) -> Generation:
    """`request` in our own loop, drafted by `head`."""
    drafter = Eagle3Drafter(head, session.target)
    [generation] = build_speculative(config, session.target, drafter).generate([request])
    return generation


def _expected(config: RunConfig, own: Generation) -> Counts:
    """What a faithful engine counts where our loop generated `own`."""
    behind_eos = own.overshoot if own.stop_reason == "eos" else 0
    return dialect_of(config).expected(
        own.accept_lengths, config.decoding.levels, config.gen_len, behind_eos
    )


def counts_of(row: GenerationRow) -> Counts:
    """An engine's counts, as its row holds them."""
    target_calls, rounds, drafted, accepted = row.told
    assert row.accepted_at is not None
    plain = target_calls - 1 - rounds
    return Counts(rounds, drafted, accepted, plain, tuple(row.accepted_at))
