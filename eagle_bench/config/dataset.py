"""The group `dataset`."""

from __future__ import annotations

from dataclasses import dataclass

from omegaconf import MISSING

from eagle_bench.config.values import at_least
from eagle_bench.errors import UserError


@dataclass
class DatasetConfig:
    """Prompts: a local JSONL/JSON/parquet file, a hub dataset, or the embedded 80.

    `skip_long` leaves out, and counts, prompts that do not fit into the target's positions
    together with `gen_len`; `skip_bad` does so with rows that cannot be read and prompts that
    the template or the target cannot take. Otherwise one such prompt stops the run.
    `prompt_tokens` cuts prompts, or joins those of the file, to contexts of that many tokens.
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
    skip_bad: bool = False
    enable_thinking: bool | None = None
    prompt_tokens: int | None = None

    def __post_init__(self) -> None:
        if self.prompt_tokens is not None:
            at_least("dataset.prompt_tokens", self.prompt_tokens, 1)
            if self.multi_turn:
                raise UserError(
                    "dataset.prompt_tokens makes prompts of one turn; use dataset.multi_turn=false."
                )
