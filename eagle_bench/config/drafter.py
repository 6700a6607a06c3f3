"""The group `drafter`: one class for each kind."""

from __future__ import annotations

from dataclasses import dataclass

from omegaconf import MISSING

from eagle_bench.config.values import (
    Attention,
    at_least,
)


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


DRAFTERS: dict[str, type[DrafterConfig]] = {
    "eagle3": Eagle3Config,
    "prompt_lookup": PromptLookupConfig,
    "draft_model": DraftModelConfig,
    "oracle": OracleConfig,
    "random": RandomConfig,
}
