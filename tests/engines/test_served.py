"""`engine=`: what is refused, whose answer is taken, and what a row of an engine holds."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from engine_run import engine_config

from eagle_bench.config.decoding import TreeConfig
from eagle_bench.config.drafter import PromptLookupConfig
from eagle_bench.config.engine import EngineConfig
from eagle_bench.config.measure import MeasureConfig
from eagle_bench.config.run import RunConfig
from eagle_bench.config.values import DType, Stop, plain
from eagle_bench.engines import launch_llama_cpp
from eagle_bench.engines.build import build_arms, check_engine
from eagle_bench.engines.llama_cpp import LlamaCpp
from eagle_bench.engines.served import ServedArm
from eagle_bench.engines.session import Session
from eagle_bench.errors import RunFailure, UserError
from eagle_bench.figures.summary import summarise
from eagle_bench.records.generation import BASELINE, Generation, Request
from eagle_bench.records.identity import config_hash
from eagle_bench.records.rows import GenerationRow, Trial
from eagle_bench.results.report.samples import origins

REPLIES = Path(__file__).parent / "replies"
REPLY: dict[str, Any] = json.loads((REPLIES / "llama_cpp_b11549_eagle3.json").read_text())
REQUEST = Request("1/0", list(range(53)), 64)


class Recorded:
    """A server that answered once, and was recorded."""

    url = "http://recorded"

    def __init__(self, body: dict[str, Any], arm: str = "eagle3") -> None:
        self.body = body
        self.pages = [
            (REPLIES / f"llama_cpp_b11549_{arm}_{when}.txt").read_text()
            for when in ("before", "after")
        ]

    def get(self, path: str) -> str:
        return self.pages.pop(0)

    def post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        return self.body


def answer(body: dict[str, Any], draft_len: int = 4, arm: str = "eagle3") -> Generation:
    server: Any = Recorded(body, arm)
    arm_ = ServedArm("chain", server, LlamaCpp(), draft_len, lambda text: [])
    [generation] = arm_.generate([REQUEST])
    return generation


def row_of(generation: Generation, arm: str) -> GenerationRow:
    return GenerationRow.of(
        replace(generation, wall_s=0.1), Trial("1", "arithmetic", 0, arm, 0), None
    )


def test_a_row_holds_what_the_engine_told_and_nothing_else() -> None:
    row = row_of(answer(REPLY), "chain")
    assert (row.rounds, row.drafted, row.accepted, row.target_calls) == (16, 62, 47, 17)
    assert row.accepted_at == [14, 13, 10, 10]
    assert row.accept_lengths is row.draft_calls is row.peak_bytes is None
    assert row.prefill_s <= row.wall_s
    [(_, hint, tokens)] = origins(row)
    assert (hint, tokens) == ("the engine does not tell its rounds", row.token_ids)


def test_figures_of_an_engine_are_null_where_it_tells_nothing() -> None:
    base = json.loads((REPLIES / "llama_cpp_b11549_base.json").read_text())
    rows = [row_of(answer(REPLY), "chain"), row_of(answer(base, 0, "base"), BASELINE)]
    found = summarise(rows, gen_len=64, seed=0, resamples=200, confidence=0.95, lossless=None)[
        "arms"
    ]
    assert found["chain"]["tau"] == 63 / 16
    assert found["chain"]["tau_emitted"] == 63 / 16
    assert found["chain"]["acceptance_rate"] == 47 / 62
    assert found["chain"]["peak_bytes"] is found["chain"]["draft_calls"] is None
    assert found["chain"]["per_position"] == []
    assert found[BASELINE]["calls_per_token"] == 1.0


@pytest.mark.parametrize(
    ("changes", "draft_len", "said"),
    [
        ({"timings": REPLY["timings"] | {"prompt_n": 54}}, 4, "computed 54"),
        ({}, 0, "a server that drafts"),
        ({"timings": REPLY["timings"] | {"predicted_n": 63}}, 4, "somebody else asks it"),
    ],
)
def test_an_answer_of_another_request_or_arm_is_not_taken(
    changes: dict[str, Any], draft_len: int, said: str
) -> None:
    with pytest.raises(RunFailure, match=said):
        answer(REPLY | changes, draft_len)


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(launch_llama_cpp, "find_spec", lambda name: name)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"drafter": PromptLookupConfig(name="prompt_lookup")}, "needs an EAGLE head"),
        ({"decoding": TreeConfig(name="tree")}, "decoding=chain"),
        ({"temperature": 0.7}, "temperature=0"),
        ({"batch_size": 2}, "batch_size=1"),
        ({"stop": Stop.length}, "stop=eos"),
        ({"device": "cuda"}, "device=cpu"),
        ({"measure": MeasureConfig(costs=True)}, "leave out measure"),
    ],
)
def test_what_the_engine_cannot_do_is_refused(
    installed: None, changes: dict[str, Any], said: str
) -> None:
    check_engine(engine_config())
    with pytest.raises(UserError, match=said):
        check_engine(engine_config(**changes))


def test_a_package_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(launch_llama_cpp, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"pip install 'eagle_bench\[llama-cpp\]'"):
        check_engine(engine_config())
    check_engine(engine_config(engine=EngineConfig(name="own")))


def test_other_dtypes_are_refused_before_anything_is_written(session: Session) -> None:
    spec = replace(session.target.spec, dtype="bfloat16")  # type: ignore[arg-type]
    target = session.target
    before, target.spec = target.spec, spec
    try:
        with pytest.raises(UserError, match="dtype=float32"):
            build_arms(engine_config(dtype=DType.bfloat16), session, ())
    finally:
        target.spec = before


def test_our_own_engine_is_no_part_of_a_jobs_identity() -> None:
    def hashed(config: RunConfig) -> str:
        return config_hash(plain(config))

    own = plain(engine_config(engine=EngineConfig(name="own")))
    earlier = {key: value for key, value in own.items() if key != "engine"}
    assert config_hash(own) == config_hash(earlier)
    assert hashed(engine_config()) != config_hash(own)
