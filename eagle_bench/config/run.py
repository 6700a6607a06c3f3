"""The settings of one run."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

from omegaconf import MISSING

from eagle_bench.config.dataset import DatasetConfig
from eagle_bench.config.decoding import DecodingConfig
from eagle_bench.config.drafter import DrafterConfig
from eagle_bench.config.engine import EngineConfig
from eagle_bench.config.measure import MeasureConfig
from eagle_bench.config.model import ModelConfig
from eagle_bench.config.tracker import TrackerConfig
from eagle_bench.config.values import (
    AUTO,
    Compile,
    DType,
    Output,
    Stop,
    at_least,
    check_name,
    check_place,
    within,
)
from eagle_bench.errors import UserError


@dataclass
class RunConfig:
    """One job: one target, one drafter, one prompt set, one method, one `gen_len`.

    Attributes
    ----------
    gen_len : int
        The most new tokens of an answer.
    num_samples : int
        The first so many prompts of the dataset.
    repeats : int or str
        How often every prompt is measured; auto: until the interval is narrow (`measure`).
    batch_size : int
        Prompts that are generated at once.
    seed : int
        Of the sampling, the shuffling and the bootstrap.
    temperature : float
        0 is greedy.
    top_p : float
        The most likely tokens that make up this probability are sampled from.
    top_k : int
        So many of the most likely tokens are sampled from; 0: all.
    stop : Stop
        An answer ends at the end token, or (length) at `gen_len` alone.
    chat_template : str
        A template's name or file; auto: the tokenizer's own, else none.
    chat_template_kwargs : dict
        What the template reads beside the messages.
    dtype : DType
        auto: bfloat16 on a GPU that has it, else float32.
    compile : Compile
        draft: an EAGLE head's levels are compiled for this CPU, once, and kept.
    device : str
        auto, cpu, mps, cuda or cuda:N.
    threads : int or None
        Of a CPU; null: all that this process may use.
    output : Output
        A table, one JSON document on stdout, or nothing.
    strict : bool
        A result with a violated guard is a failure, and kept.
    resume : bool
        false: measured anew, in a folder with the time in its name.
    output_dir : str
        Where runs and sweeps get their folders.
    name : str or None
        What a person calls the run or sweep; it leads the folder's name.
    limit_s : float or None
        Seconds after which the command, a sweep included, stops behind the running generation.
    """

    model: ModelConfig = MISSING
    drafter: DrafterConfig = MISSING
    dataset: DatasetConfig = MISSING
    decoding: DecodingConfig = MISSING
    tracker: TrackerConfig = MISSING
    engine: EngineConfig = field(default_factory=lambda: EngineConfig(name="own"))
    measure: MeasureConfig = field(default_factory=MeasureConfig)

    gen_len: int = 128
    num_samples: int = 8
    repeats: int | str = 1
    batch_size: int = 1
    seed: int = 0
    temperature: float = 0.0
    top_p: float = 1.0
    top_k: int = 0
    stop: Stop = Stop.eos
    chat_template: str = "auto"
    chat_template_kwargs: dict[str, Any] = field(default_factory=dict)
    dtype: DType = DType.auto
    compile: Compile = Compile.off
    device: str = "auto"
    threads: int | None = None
    output: Output = Output.table
    strict: bool = False
    resume: bool = True
    output_dir: str = "outputs"
    name: str | None = None
    limit_s: float | None = None

    def __post_init__(self) -> None:
        at_least("gen_len", self.gen_len, 1)
        at_least("num_samples", self.num_samples, 1)
        if isinstance(self.repeats, int):
            at_least("repeats", self.repeats, 1)
        elif self.repeats != AUTO:
            raise UserError(f"repeats={self.repeats} must be a number of at least 1, or auto.")
        at_least("batch_size", self.batch_size, 1)
        at_least("top_k", self.top_k, 0)
        check_place(self.seed, self.device, self.threads)
        if not (math.isfinite(self.temperature) and self.temperature >= 0.0):
            raise UserError(f"temperature={self.temperature} must be a number of at least 0.")
        within("top_p", self.top_p, "(0, 1]")
        check_name(self.name)
        if self.limit_s is not None:
            at_least("limit_s", self.limit_s, 1)
            if self.model.tensor_parallel:
                raise UserError("limit_s needs one process, so model.tensor_parallel=false.")


RESULT_IRRELEVANT = ("tracker", "output", "output_dir", "resume", "strict", "name", "limit_s")
"""Settings that do not change what is measured, so they are no part of a job's identity."""

LATER: dict[str, Any] = {
    "chat_template_kwargs": {},
    "compile": "off",
    "dataset.prompt_tokens": None,
    "dataset.skip_bad": False,
    "drafter.reading": "auto",
    "engine": {"name": "own"},
    "engine.baseline_url": None,
    "engine.key_env": None,
    "engine.model": None,
    "engine.python": None,
    "engine.timeout_s": 600.0,
    "engine.url": None,
    "measure.remeasure": 2,
    "model.packing": "auto",
}
"""Settings that came when results were on disk already, as `group.name`, with their defaults. At
its default such a setting is no part of a job's identity, so that an upgrade orphans no folder."""
