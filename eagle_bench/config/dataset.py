"""The group `dataset`."""

from __future__ import annotations

from dataclasses import dataclass

from omegaconf import MISSING

from eagle_bench.config.values import at_least
from eagle_bench.errors import UserError


@dataclass
class DatasetConfig:
    """Prompts: a local JSONL/JSON/parquet file, a hub dataset, or the embedded 80.

    Attributes
    ----------
    path : str or None
        The file.
    hub : str or None
        The hub dataset's id.
    hub_config : str or None
        One of its configurations.
    split : str
        One of its splits.
    categories : list of str or None
        Only prompts of these.
    shuffle : bool
        In the order that `seed` gives, before `num_samples` are taken.
    multi_turn : bool
        Every turn is answered; else the first alone.
    skip_long : bool
        Prompts that do not fit the target's positions with `gen_len` are left out and counted;
        else one stops the run.
    skip_bad : bool
        So are rows that cannot be read, and prompts that template or target cannot take.
    enable_thinking : bool or None
        What the template is told; null: nothing.
    prompt_tokens : int or None
        Cuts prompts, or joins those of the file, to contexts of so many tokens.
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
