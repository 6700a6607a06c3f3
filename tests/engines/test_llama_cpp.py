"""`engine=llama_cpp` in llama.cpp itself: same tokens, same counts; a misread head is named."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from engine_run import Nobody, engine_config

from eagle_bench.decoding.build import build_speculative
from eagle_bench.drafters.heads.gguf import misordered
from eagle_bench.drafters.heads.head import EagleHead
from eagle_bench.drafters.heads.reading import RopeConfig
from eagle_bench.engines.build import build_arms
from eagle_bench.engines.conversation import Conversation
from eagle_bench.engines.session import Loader, Session
from eagle_bench.engines.setup import chosen_prompts
from eagle_bench.figures.counts import clipped
from eagle_bench.measure.conformance import counts_of, reading_of
from eagle_bench.measure.job import run_job
from eagle_bench.records.rows import GenerationRow, Trial

for package in ("gguf", "xllamacpp"):
    pytest.importorskip(package, reason="the extra `llama-cpp` is not installed")


def test_a_run_has_no_gap_and_changes_nothing(tmp_path: Path) -> None:
    job = run_job(engine_config(gen_len=128), tmp_path, Loader(), Nobody())
    summary = job.summary
    gap = summary["engine_gap"]
    assert (gap["pooled"], gap["equal_prompts"], gap["same_tokens"]) == (1.0, 8, 8)
    assert summary["lossless"]["exact_share"] == 1.0
    assert summary["arms"]["baseline"]["calls_per_token"] == 1.0
    assert 0 < summary["arms"]["baseline"]["eos_share"] < 1


def test_an_end_token_that_is_the_last_draft(session: Session, tmp_path: Path) -> None:
    config = engine_config(gen_len=100, num_samples=32)
    prompts = chosen_prompts(config).prompts[-1:]
    request = Conversation(session, prompts[0]).request(config.gen_len)
    own = build_speculative(config, session.target, session.drafter.drafter)
    [ours] = own.generate([request])
    [theirs] = build_arms(config, session, prompts, tmp_path).speculative.generate([request])
    assert (ours.stop_reason, ours.overshoot, ours.accept_lengths[-1]) == ("eos", 1, 4)
    row = GenerationRow.of(theirs, Trial("32", "", 0, "chain", 0), None)
    assert counts_of(row) == clipped(ours.accept_lengths, 4, 100, ours.overshoot)
    assert theirs.tokens == ours.tokens


def wrongly(**choices: Any) -> Callable[[EagleHead], EagleHead]:
    """The head under a reading that differs in `choices`."""
    return lambda head: head.variant(replace(head.config.reading, **choices))


@pytest.mark.parametrize(
    ("plant", "name"),
    [
        (wrongly(aux_layers=(1, 9, 16)), "aux layers [1, 9, 16]"),
        (wrongly(aux_layers=(3, 11, 18)), "aux layers [3, 11, 18]"),
        (wrongly(rope=RopeConfig(theta=1e6)), "RoPE base 1000000"),
        (wrongly(mapped=False), "no vocabulary map"),
        (misordered, "rows of q and k in another order"),
    ],
)
def test_a_head_written_wrongly_is_named(
    plant: Callable[[EagleHead], EagleHead],
    name: str,
    session: Session,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    config, head = engine_config(), session.drafter.head
    assert head is not None
    prompts = chosen_prompts(config).prompts[:2]
    with monkeypatch.context() as planted:
        planted.setattr(session.drafter, "head", plant(head))
        drafting = build_arms(config, session, prompts, tmp_path).speculative
    asked = []
    for prompt in prompts:
        request = Conversation(session, prompt).request(config.gen_len)
        [generation] = drafting.generate([request])
        row = GenerationRow.of(generation, Trial(prompt.id, "", 0, "chain", 0), None)
        asked.append((request, counts_of(row)))
    assert reading_of(config, session, asked) == name
