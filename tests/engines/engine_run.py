"""Settings of a run in an engine."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any

from eagle_bench.config.dataset import DatasetConfig
from eagle_bench.config.decoding import ChainConfig
from eagle_bench.config.drafter import Eagle3Config
from eagle_bench.config.engine import LlamaCppConfig
from eagle_bench.config.measure import MeasureConfig
from eagle_bench.config.model import ModelConfig
from eagle_bench.config.run import RunConfig
from eagle_bench.config.tracker import TrackerConfig
from eagle_bench.config.values import DType
from eagle_bench.records.rows import GenerationRow


def engine_config(**changes: Any) -> RunConfig:
    """`engine=llama_cpp` on the embedded pair."""
    settings: dict[str, Any] = {
        "model": ModelConfig(name="embedded"),
        "drafter": Eagle3Config(name="embedded"),
        "dataset": DatasetConfig(name="embedded"),
        "decoding": ChainConfig(name="chain"),
        "tracker": TrackerConfig(name="none"),
        "engine": LlamaCppConfig(name="llama_cpp"),
        "measure": MeasureConfig(preflight=False, remeasure=0, bootstrap_resamples=200),
        "gen_len": 64,
        "dtype": DType.float32,
        "device": "cpu",
        "threads": 1,
    }
    return RunConfig(**settings | changes)


class Nobody:
    """Watches a job and says nothing."""

    def start(self, total: int, repeat: int) -> None: ...

    def advance(self, row: GenerationRow) -> None: ...

    def say(self, line: str) -> None: ...

    def phase(self, what: str) -> AbstractContextManager[None]:
        return nullcontext()
