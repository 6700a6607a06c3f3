"""`engine=vllm` in vLLM, step for step: `.ci/vllm DIR` makes its environment and runs this."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from engine_run import Nobody, engine_config

from eagle_bench.config.engine import VllmConfig
from eagle_bench.config.values import Stop
from eagle_bench.engines.session import Loader
from eagle_bench.measure.job import run_job
from eagle_bench.records.generation import BASELINE

PYTHON = os.environ.get("EAGLE_BENCH_VLLM_PYTHON")
ENGINE = VllmConfig(name="vllm", python=PYTHON)

pytestmark = pytest.mark.skipif(PYTHON is None, reason="EAGLE_BENCH_VLLM_PYTHON names no vLLM")


def test_every_step_is_our_loops_whether_the_end_token_is_obeyed_or_not(tmp_path: Path) -> None:
    loader = Loader()
    for stop in Stop:
        config = engine_config(engine=ENGINE, stop=stop, num_samples=8)
        job = run_job(config, tmp_path / stop.value, loader, Nobody())
        gap = job.summary["engine_gap"]
        assert (gap["pooled"], gap["equal_prompts"], gap["same_tokens"]) == (1.0, 8, 8)
        assert job.summary["lossless"]["exact_share"] == 1.0
        assert job.summary["arms"][BASELINE]["calls_per_token"] == 1.0
        versions = {each["version"] for each in job.provenance["engine"]["servers"]}
        assert versions == {"0.32.0"}
