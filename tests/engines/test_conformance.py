"""How an engine reads a head is named from its counts alone: here those recorded of llama.cpp."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from engine_run import engine_config

from eagle_bench.config.values import DType
from eagle_bench.data.prompt import Prompt
from eagle_bench.decoding.build import build_speculative
from eagle_bench.engines.conversation import Conversation
from eagle_bench.engines.session import Loader, Session
from eagle_bench.engines.setup import chosen_prompts
from eagle_bench.figures.counts import clipped
from eagle_bench.figures.guards import other_counts
from eagle_bench.measure.conformance import conformance, reading_of
from eagle_bench.records.counts import Counts, Told
from eagle_bench.records.generation import BASELINE, Generation, Request
from eagle_bench.records.rows import GenerationRow, Trial

REPLIES = Path(__file__).parent / "replies"
PLANTED = json.loads((REPLIES / "llama_cpp_b11549_planted.json").read_text())
CONFIG = engine_config()
FAITHFUL = "as exported"


def recorded() -> list[Prompt]:
    """The prompts in the order of their numbers, as they were recorded."""
    prompts = chosen_prompts(replace(CONFIG, num_samples=80)).prompts
    return sorted(prompts, key=lambda prompt: int(prompt.id))


def asked(session: Session, planted: str) -> list[tuple[Request, Counts]]:
    """Prompts 1, 2, ... with what llama.cpp counted on them."""
    return [
        (Conversation(session, prompt).request(CONFIG.gen_len), Counts(*counts, tuple(accepted)))
        for prompt, (*counts, accepted) in zip(recorded(), PLANTED[planted], strict=False)
    ]


@pytest.mark.parametrize("planted", sorted(set(PLANTED) - {FAITHFUL}))
def test_a_misreading_is_named_from_the_counts_alone(session: Session, planted: str) -> None:
    features = session.target.spec.aux_layers
    assert reading_of(CONFIG, session, asked(session, planted)) == planted
    assert session.target.spec.aux_layers == features


def test_counts_that_no_reading_gives_have_no_name(session: Session) -> None:
    [(request, counts), *_] = asked(session, FAITHFUL)
    broken = Counts(counts.rounds, counts.drafted, 0, counts.plain, (0, 0, 0, 0))
    assert reading_of(CONFIG, session, [(request, broken)]) is None


def told_of(counts: Counts) -> Told:
    return Told(
        1,
        counts.target_calls,
        counts.rounds,
        counts.drafted,
        counts.accepted,
        per_position=counts.per_position,
    )


def rows_of(session: Session, planted: str) -> list[GenerationRow]:
    """The rows of a run in which llama.cpp answered so."""
    return [
        GenerationRow.of(
            Generation(request, [7], "length", told=told_of(counts)),
            Trial(request.key.split("/")[0], "", 0, arm, 0),
            None,
        )
        for request, counts in asked(session, planted)
        for arm in (BASELINE, "chain")
    ]


def test_a_faithful_engine_has_no_gap(session: Session) -> None:
    prompts = recorded()[:4]
    found = conformance(CONFIG, session, prompts, rows_of(session, FAITHFUL))
    assert found is not None
    assert (found["pooled"], found["prompts"], found["equal_prompts"]) == (1.0, 4, 4)
    assert found["reading"] is None
    assert found["same_tokens"] == 0, "these rows hold one token each"
    assert "4 of 4 generations are equal; the tokens of 4 are not our loop's" in found["sentence"]


def test_a_gap_says_which_reading_explains_it(session: Session) -> None:
    prompts = recorded()[:4]
    late = "aux layers [3, 11, 18]"
    found = conformance(CONFIG, session, prompts, rows_of(session, late))
    assert found is not None
    assert found["pooled"] < 1
    assert found["equal_prompts"] < 4
    assert found["reading"] == late
    assert f"once our loop reads the head with {late}; the tokens of 4" in found["sentence"]


def test_a_count_that_rounding_explains_is_no_gap_below_float32() -> None:
    config = replace(CONFIG, dtype=DType.bfloat16, num_samples=6)
    session = Loader().session(config)
    prompts = chosen_prompts(config).prompts
    ours = build_speculative(config, session.target, session.drafter.drafter)
    rows = []
    for prompt, more in zip(prompts, (0, 0, 0, 0, 0, 1), strict=True):
        [own] = ours.generate([Conversation(session, prompt).request(config.gen_len)])
        behind = own.overshoot if own.stop_reason == "eos" else 0
        counts = clipped(own.accept_lengths, 4, config.gen_len, behind)
        told = told_of(replace(counts, accepted=counts.accepted - more))
        rows.append(
            GenerationRow.of(replace(own, told=told), Trial(prompt.id, "", 0, "chain", 0), None)
        )
    found = conformance(config, session, prompts, rows)
    assert found is not None
    assert found["by_rounding"], found
    assert "5 of 6 generations are equal, and bfloat16 explains the others" in found["sentence"]
    assert other_counts(found).ok
    assert not other_counts(found | {"by_rounding": False}).ok
