"""Settings of the commands that ask one question of a target and its drafter.

`proxy`: how far is teacher-forced accuracy from acceptance? `distribution`: is what is emitted
at temperature > 0 distributed as the target says? It imports no torch.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, fields
from enum import Enum
from typing import Any

from omegaconf import MISSING

from eagle_bench.config.dataset import DatasetConfig
from eagle_bench.config.decoding import ChainConfig, DecodingConfig
from eagle_bench.config.drafter import DrafterConfig
from eagle_bench.config.model import ModelConfig
from eagle_bench.config.run import RunConfig
from eagle_bench.config.tracker import TrackerConfig
from eagle_bench.config.values import (
    DType,
    Output,
    at_least,
    check_place,
    check_resamples,
    within,
)
from eagle_bench.errors import UserError


class Text(Enum):
    """What the drafter is judged on: the answers of the dataset, or the target's own.

    `auto` takes the dataset's where it has any.
    """

    auto = "auto"
    dataset = "dataset"
    target = "target"


@dataclass
class PairConfig:
    """What both commands share: a pair, prompts, and where the result goes."""

    model: ModelConfig = MISSING
    drafter: DrafterConfig = MISSING
    dataset: DatasetConfig = MISSING

    num_samples: int = 8
    seed: int = 0
    chat_template: str = "auto"
    chat_template_kwargs: dict[str, Any] = field(default_factory=dict)
    dtype: DType = DType.auto
    device: str = "auto"
    threads: int | None = None
    output: Output = Output.table
    output_dir: str = MISSING

    def __post_init__(self) -> None:
        at_least("num_samples", self.num_samples, 1)
        check_place(self.seed, self.device, self.threads)

    def as_run(self, decoding: DecodingConfig, gen_len: int) -> RunConfig:
        """The run that loads the same pair and prompts."""
        shared = {each.name: getattr(self, each.name) for each in fields(PairConfig)}
        tracker = TrackerConfig(name="none")
        return RunConfig(**shared, decoding=decoding, tracker=tracker, gen_len=gen_len)


@dataclass
class ProxyConfig(PairConfig):
    """Teacher-forced accuracy at TTT positions 0..`ttt_length`-1, beside a real chain as long.

    Attributes
    ----------
    text : Text
        What the drafter is judged on: the dataset's answers, the target's own, or (auto) the
        dataset's where it has any.
    ttt_length : int
        Positions that are judged, and the length of the chain.
    gen_len : int
        Tokens that are generated for each prompt.
    max_tokens : int
        Context and answer are cut to so many, since the memory grows with their square.
    shown, shown_tokens : int
        Prompts whose first tokens are shown one by one, and how many of them.
    bootstrap_resamples : int
        Of every interval.
    confidence : float
        Of every interval.
    """

    text: Text = Text.auto
    ttt_length: int = 7
    gen_len: int = 128
    max_tokens: int = 2048
    shown: int = 2
    shown_tokens: int = 32
    bootstrap_resamples: int = 2000
    confidence: float = 0.95
    output_dir: str = "outputs/proxy"

    def __post_init__(self) -> None:
        super().__post_init__()
        at_least("ttt_length", self.ttt_length, 1)
        at_least("gen_len", self.gen_len, 2)
        at_least("max_tokens", self.max_tokens, 16)
        at_least("shown", self.shown, 0)
        at_least("shown_tokens", self.shown_tokens, 1)
        check_resamples("bootstrap_resamples", self.bootstrap_resamples)
        within("confidence", self.confidence, "[0.5, 1)")

    def run(self) -> RunConfig:
        """The greedy chain of `ttt_length` that stands beside the proxy."""
        chain = ChainConfig(name="chain", draft_len=self.ttt_length)
        return self.as_run(chain, self.gen_len)


DRAWS_PER_OUTPUT = 5
"""Draws that each possible output must get on average for the counts to say something."""


@dataclass
class DistributionConfig(PairConfig):
    """The first tokens, generated many times for each prompt and arm.

    The temperature is high, since a target that is sure of itself leaves nothing to chance, and
    not 1, where a rule that forgets it would go unseen.

    Attributes
    ----------
    tokens : int
        So many of each output count.
    draws : int
        Outputs of each prompt and arm.
    level : float
        The chance to call a lossless arm different, over all its prompts together.
    """

    decoding: DecodingConfig = MISSING

    num_samples: int = 4
    tokens: int = 3
    draws: int = 500
    level: float = 0.001
    batch_size: int = 64
    temperature: float = 3.0
    top_p: float = 1.0
    top_k: int = 4
    output_dir: str = "outputs/distribution"

    def __post_init__(self) -> None:
        super().__post_init__()
        at_least("tokens", self.tokens, 2)
        at_least("draws", self.draws, 2 * DRAWS_PER_OUTPUT)
        at_least("batch_size", self.batch_size, 1)
        at_least("top_k", self.top_k, 0)
        if not (math.isfinite(self.temperature) and self.temperature > 0.0):
            raise UserError(
                f"temperature={self.temperature} must be greater than 0: greedy output has no "
                "distribution, and every run compares it with the baseline's."
            )
        within("top_p", self.top_p, "(0, 1]")
        within("level", self.level, "(0, 0.5)")
        if self.top_k == 1:
            raise UserError("top_k=1 leaves nothing to chance; set top_k=2 or more.")
        if self.top_p == 1.0 and self.top_k**self.tokens > self.most_outputs:
            raise self.too_many_outputs(f"top_k={self.top_k} leaves {self.top_k**self.tokens}")

    @property
    def most_outputs(self) -> int:
        """Possible outputs that `draws` draws can be spread over."""
        return self.draws // DRAWS_PER_OUTPUT

    def too_many_outputs(self, found: str) -> UserError:
        """What to say, and which `top_k` or `draws` would do."""
        narrow = max(k for k in range(self.draws) if k**self.tokens <= self.most_outputs)
        ways = [f"top_k={narrow}"] if narrow > 1 else [f"tokens={self.tokens - 1}"]
        if self.top_k > 1:
            ways.append(f"draws={DRAWS_PER_OUTPUT * self.top_k**self.tokens}")
        return UserError(
            f"{found} possible outputs of {self.tokens} tokens, and draws={self.draws} are enough "
            f"for {self.most_outputs} ({DRAWS_PER_OUTPUT} each); set {' or '.join(ways)}."
        )

    def run(self) -> RunConfig:
        """The sampled run whose first tokens are counted."""
        config = self.as_run(self.decoding, self.tokens)
        config.temperature, config.top_p, config.top_k = self.temperature, self.top_p, self.top_k
        config.batch_size = self.batch_size
        return config
