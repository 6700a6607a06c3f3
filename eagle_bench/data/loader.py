"""The prompts of a run: which file, which rows of it, in which order."""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from eagle_bench import assets
from eagle_bench.config.dataset import DatasetConfig
from eagle_bench.data.fields import Skip, read_prompt
from eagle_bench.data.files import Row, read_bytes, rows
from eagle_bench.data.prompt import Prompt, PromptSet
from eagle_bench.errors import UserError


def load_prompts(config: DatasetConfig, num_samples: int, seed: int) -> PromptSet:
    """Read, filter, order and cut the prompts that `config` names.

    Parameters
    ----------
    config : DatasetConfig
        `path` goes before `hub`; with neither, `name` is that of a set that ships.
    num_samples : int
        At most so many prompts: the first ones of the file, or of the shuffled file.
    seed : int
        Orders the shuffle; without `config.shuffle` it has no effect.

    Returns
    -------
    PromptSet
        `sha256` is that of the file (of all files in order, for a hub dataset in shards);
        `skipped` counts the rows left out by reason, before any filter. Rows behind the last
        prompt are not read, but for a shuffle, categories or `prompt_tokens`.
    """
    digest = hashlib.sha256()
    prompts: list[Prompt] = []
    skipped: Counter[str] = Counter()
    sources = _sources(config)
    joined = config.prompt_tokens is not None
    reads_all = config.shuffle or joined or config.categories is not None
    enough = math.inf if reads_all else num_samples
    for path in sources:
        content = read_bytes(path)
        digest.update(content)
        for row in rows(path, content) if len(prompts) < enough else ():
            try:
                prompts.append(_prompt(row, config.name))
            except Skip as reason:
                skipped[str(reason)] += 1
            except UserError as error:
                if not config.skip_bad:
                    raise UserError(f"{row.where}: {error}") from None
                skipped[f"a bad row ({str(error).rstrip('.')})"] += 1
            if len(prompts) == enough:
                break
    if not prompts:
        left_out = ", ".join(f"{count} skipped: {reason}" for reason, count in skipped.items())
        raise UserError(
            f"The dataset {', '.join(map(str, sources))} is empty"
            + (f" ({left_out})." if left_out else ".")
        )
    chosen = _of_categories(_with_unique_ids(prompts), config.categories)
    if config.shuffle:
        chosen = [chosen[i] for i in np.random.default_rng(seed).permutation(len(chosen))]
    if not config.multi_turn:
        chosen = [_first_turn(prompt) for prompt in chosen]
    prompts, behind = chosen[:num_samples], chosen[num_samples:] if joined else []
    return PromptSet(
        config.name, tuple(prompts), digest.hexdigest(), dict(skipped), behind=tuple(behind)
    )


def _prompt(row: Row, category: str) -> Prompt:
    if row.bad is not None:
        raise UserError(row.bad)
    return replace(read_prompt(row.fields, row.number, category), where=row.where)


def _sources(config: DatasetConfig) -> list[Path]:
    if config.path is not None:
        return [Path(config.path).expanduser()]
    if config.hub is not None:
        from eagle_bench.data.hub import fetch

        return fetch(config)
    shipped = {"embedded": assets.PROMPTS, "six_groups": assets.SIX_GROUPS}
    if config.name in shipped:
        return [shipped[config.name]]
    raise UserError(
        f"dataset={config.name} needs dataset.path=FILE: JSONL, JSON, parquet, CSV, TSV or text."
    )


def _with_unique_ids(prompts: Sequence[Prompt]) -> list[Prompt]:
    """Rows on disk are paired by prompt id, so a repeated id gets its position behind it."""
    unique: dict[str, Prompt] = {}
    for position, prompt in enumerate(prompts, start=1):
        name = prompt.id
        while name in unique:
            name += f"#{position}"
        unique[name] = replace(prompt, id=name)
    return list(unique.values())


def _of_categories(prompts: list[Prompt], categories: list[str] | None) -> list[Prompt]:
    if categories is None:
        return prompts
    known = list(dict.fromkeys(prompt.category for prompt in prompts))
    unknown = [name for name in categories if name not in known]
    if unknown:
        raise UserError(
            f"dataset.categories has no such category: {', '.join(unknown)}; this dataset has "
            f"{', '.join(known)}."
        )
    if not categories:
        raise UserError("dataset.categories is an empty list; null takes all categories.")
    return [prompt for prompt in prompts if prompt.category in categories]


def _first_turn(prompt: Prompt) -> Prompt:
    return replace(prompt, turns=prompt.turns[:1], reference=prompt.reference[:1])
