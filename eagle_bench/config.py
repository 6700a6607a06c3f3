"""Every setting of a run, typed. Imports no torch: composing and validating must be instant.

Each Hydra group has a base class and one class per choice; `conf/GROUP/NAME.yaml` picks a
class by its schema and sets values. `__post_init__` refuses what can be refused without
looking at a file, a model or a device.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from omegaconf import MISSING

from eagle_bench.errors import UserError


class Stop(Enum):
    """What ends a generation: EOS or `gen_len`, or exactly `gen_len` tokens."""

    eos = "eos"
    length = "length"


class DType(Enum):
    """`auto` is bfloat16 on a GPU that has it and float32 elsewhere."""

    auto = "auto"
    float32 = "float32"
    bfloat16 = "bfloat16"
    float16 = "float16"


class Attention(Enum):
    """Attention implementation of a transformers target or an EAGLE head."""

    sdpa = "sdpa"
    eager = "eager"
    flex_attention = "flex_attention"
    flex_attention_mla = "flex_attention_mla"


class Implementation(Enum):
    """`auto` takes the lean forward where it fits and transformers' own elsewhere."""

    auto = "auto"
    lean = "lean"
    transformers = "transformers"


class Output(Enum):
    """What the terminal shows: progress and table, one JSON document last, or nothing."""

    table = "table"
    json = "json"
    quiet = "quiet"


class Proposal(Enum):
    """Draft tokens are the drafter's best (`greedy`) or drawn from its distribution."""

    greedy = "greedy"
    sample = "sample"


class AdaptiveRule(Enum):
    """How `decoding=adaptive` picks the draft length of a round."""

    ema = "ema"
    confidence = "confidence"
    throughput = "throughput"


AUTO = "auto"


def at_least(name: str, value: float, low: float) -> None:
    """Raise `UserError` unless `value >= low`."""
    if not value >= low:
        raise UserError(f"{name}={value} must be at least {low}.")


# --- model ---------------------------------------------------------------------------------


@dataclass
class ModelConfig:
    """The target: an HF folder or hub id, or the embedded one (`path: null`)."""

    name: str = MISSING
    path: str | None = None
    revision: str | None = None
    trust_remote_code: bool = False
    implementation: Implementation = Implementation.auto
    attention: Attention = Attention.sdpa
    device_map: str | None = None
    tensor_parallel: bool = False


# --- drafter -------------------------------------------------------------------------------


@dataclass
class DrafterConfig:
    """What proposes the tokens that the target verifies."""

    name: str = MISSING


@dataclass
class Eagle3Config(DrafterConfig):
    """An EAGLE head from a checkpoint folder; `path: null` is the embedded head.

    Null in `aux_layers`, `rope_theta` and the norm flags means: as the folder says.
    """

    path: str | None = None
    vocab_mapping: str | None = None
    aux_layers: list[int] | None = None
    attention: Attention = Attention.sdpa
    embedding_key: str | None = None
    rope_theta: float | None = None
    norm_before_residual: bool | None = None
    norm_output: bool | None = None


@dataclass
class PromptLookupConfig(DrafterConfig):
    """The continuation of the latest earlier occurrence of the context's last n-gram."""

    max_ngram: int = 3
    min_ngram: int = 1

    def __post_init__(self) -> None:
        at_least("drafter.min_ngram", self.min_ngram, 1)
        at_least("drafter.max_ngram", self.max_ngram, self.min_ngram)


@dataclass
class DraftModelConfig(DrafterConfig):
    """Any causal LM with the target's tokenizer; `path: null` is the embedded pair's."""

    path: str | None = None
    trust_remote_code: bool = False


@dataclass
class OracleConfig(DrafterConfig):
    """Always right: proposes the recorded baseline. The ceiling on this machine."""


@dataclass
class RandomConfig(DrafterConfig):
    """Uniformly random tokens. The floor on this machine."""

    seed: int = 0


# --- dataset -------------------------------------------------------------------------------


@dataclass
class DatasetConfig:
    """Prompts: a local JSONL/JSON/parquet file, a hub dataset, or the embedded 80.

    `skip_long` leaves out, and counts, prompts that do not fit into the target's positions
    together with `gen_len`; otherwise one such prompt stops the run.
    """

    name: str = MISSING
    path: str | None = None
    hub: str | None = None
    hub_config: str | None = None
    split: str = "test"
    categories: list[str] | None = None
    shuffle: bool = False
    multi_turn: bool = False
    skip_long: bool = False
    enable_thinking: bool | None = None


# --- decoding ------------------------------------------------------------------------------


@dataclass
class DecodingConfig:
    """A speculative method: the shape of a draft and the rule that chooses it."""

    name: str = MISSING
    proposal: Proposal = Proposal.greedy


@dataclass
class ChainConfig(DecodingConfig):
    """`draft_len` tokens one after another."""

    draft_len: int = 4

    def __post_init__(self) -> None:
        at_least("decoding.draft_len", self.draft_len, 1)


@dataclass
class TwoPassConfig(DecodingConfig):
    """The seed's reference: two target calls per iteration, no KV cache."""

    draft_len: int = 4

    def __post_init__(self) -> None:
        at_least("decoding.draft_len", self.draft_len, 1)


@dataclass
class OnePassConfig(DecodingConfig):
    """A reference: one target call per iteration, no KV cache."""

    draft_len: int = 4

    def __post_init__(self) -> None:
        at_least("decoding.draft_len", self.draft_len, 1)


@dataclass
class TreeConfig(DecodingConfig):
    """EAGLE-2/3's dynamic tree: `depth` levels, `top_k` wide, the best nodes kept."""

    depth: int = 6
    top_k: int = 6
    num_draft_tokens: int = 24

    def __post_init__(self) -> None:
        at_least("decoding.depth", self.depth, 1)
        at_least("decoding.top_k", self.top_k, 1)
        at_least("decoding.num_draft_tokens", self.num_draft_tokens, 1)
        pool = self.top_k + (self.depth - 1) * self.top_k**2
        if self.num_draft_tokens > pool:
            raise UserError(
                f"decoding.num_draft_tokens={self.num_draft_tokens} is more than the {pool} "
                f"candidates that depth={self.depth} and top_k={self.top_k} make; lower it, "
                "or raise depth or top_k."
            )


@dataclass
class StaticTreeConfig(DecodingConfig):
    """A fixed tree, Medusa's way: each node is the list of child ranks from the root."""

    choices: list[list[int]] = field(default_factory=list)

    def __post_init__(self) -> None:
        if not self.choices:
            raise UserError("decoding.choices is empty: a static tree needs at least one node.")
        nodes = {tuple(choice) for choice in self.choices}
        if len(nodes) != len(self.choices):
            raise UserError("decoding.choices is not a tree: a node appears twice.")
        for node in sorted(nodes):
            if not node or min(node) < 0:
                raise UserError(
                    f"decoding.choices is not a tree: {list(node)} is not a non-empty list of "
                    "child ranks counted from 0."
                )
            if len(node) > 1 and node[:-1] not in nodes:
                raise UserError(
                    f"decoding.choices is not a tree: node {list(node)} has no parent "
                    f"{list(node[:-1])}."
                )


@dataclass
class AdaptiveConfig(DecodingConfig):
    """A chain whose length is chosen anew each round."""

    rule: AdaptiveRule = AdaptiveRule.throughput
    max_draft_len: int = 8
    start_draft_len: int = 4
    candidates: list[int] = field(default_factory=lambda: [1, 3, 5, 7])
    threshold: float = 0.3
    ema_alpha: float = 0.2
    warmup_rounds: int = 10
    update_every: int = 5

    def __post_init__(self) -> None:
        at_least("decoding.max_draft_len", self.max_draft_len, 1)
        at_least("decoding.start_draft_len", self.start_draft_len, 1)
        if not 0.0 <= self.threshold <= 1.0:
            raise UserError(f"decoding.threshold={self.threshold} must lie in [0, 1].")
        if not self.candidates or min(self.candidates) < 1:
            raise UserError("decoding.candidates must be draft lengths of at least 1.")


# --- tracker, measure ----------------------------------------------------------------------


@dataclass
class TrackerConfig:
    """Where results go besides the disk."""

    name: str = MISSING
    project: str = "eagle_bench"
    entity: str | None = None
    mode: str = "offline"
    tags: list[str] = field(default_factory=list)
    uri: str | None = None


@dataclass
class MeasureConfig:
    """How warm-up, intervals and the grading of differences are done.

    With `preflight` every run first asks its EAGLE head whether it is read as it was trained.
    `phases` adds an instrumented pass that says where the time goes, `profile` a trace, `costs`
    the cost model with its prediction, `fp32_control` the same prompts once more in float32.
    `repeats=auto` ends when the speedup's interval is narrower than `target_ci` (half-width over
    the speedup), or after `max_repeats` or `budget_s` seconds. `tie_gap` is the largest gap between
    the target's two best logits that rounding can close; null goes by the dtype.
    """

    preflight: bool = True
    phases: bool = False
    profile: bool = False
    costs: bool = False
    fp32_control: bool = False
    target_ci: float = 0.03
    max_repeats: int = 20
    budget_s: float = 600.0
    warmup_max: int = 4
    bootstrap_resamples: int = 2000
    confidence: float = 0.95
    tie_gap: float | None = None

    def __post_init__(self) -> None:
        at_least("measure.warmup_max", self.warmup_max, 1)
        at_least("measure.bootstrap_resamples", self.bootstrap_resamples, 100)
        at_least("measure.max_repeats", self.max_repeats, 2)
        if not 0.0001 <= self.target_ci < 1.0:
            raise UserError(f"measure.target_ci={self.target_ci} must lie in [0.0001, 1).")
        if not self.budget_s > 0.0:
            raise UserError(f"measure.budget_s={self.budget_s} must be greater than 0.")
        if not 0.5 <= self.confidence < 1.0:
            raise UserError(f"measure.confidence={self.confidence} must lie in [0.5, 1).")


# --- the run -------------------------------------------------------------------------------


@dataclass
class RunConfig:
    """One job: one target, one drafter, one prompt set, one method, one `gen_len`."""

    model: ModelConfig = MISSING
    drafter: DrafterConfig = MISSING
    dataset: DatasetConfig = MISSING
    decoding: DecodingConfig = MISSING
    tracker: TrackerConfig = MISSING
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
    dtype: DType = DType.auto
    device: str = "auto"
    threads: int | None = None
    output: Output = Output.table
    strict: bool = False
    resume: bool = True
    output_dir: str = "outputs"

    def __post_init__(self) -> None:
        at_least("gen_len", self.gen_len, 1)
        at_least("num_samples", self.num_samples, 1)
        if isinstance(self.repeats, int):
            at_least("repeats", self.repeats, 1)
        elif self.repeats != AUTO:
            raise UserError(f"repeats={self.repeats} must be a number of at least 1, or auto.")
        at_least("batch_size", self.batch_size, 1)
        at_least("top_k", self.top_k, 0)
        if self.threads is not None:
            at_least("threads", self.threads, 1)
        if not (math.isfinite(self.temperature) and self.temperature >= 0.0):
            raise UserError(f"temperature={self.temperature} must be a number of at least 0.")
        if not 0.0 < self.top_p <= 1.0:
            raise UserError(f"top_p={self.top_p} must lie in (0, 1].")


RESULT_IRRELEVANT = ("tracker", "output", "output_dir", "resume", "strict")
"""Settings that do not change what is measured, so they are no part of a job's identity."""


def plain(config: Any) -> dict[str, Any]:
    """A dataclass config as plain JSON types (enums by value)."""
    from dataclasses import asdict

    def clean(value: Any) -> Any:
        if isinstance(value, Enum):
            return value.value
        if isinstance(value, dict):
            return {key: clean(item) for key, item in value.items()}
        if isinstance(value, list):
            return [clean(item) for item in value]
        return value

    return {key: clean(value) for key, value in asdict(config).items()}
