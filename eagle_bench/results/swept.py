"""Which settings differ between jobs: the axes of a table or a picture."""

from __future__ import annotations

import math
import re
from collections.abc import Hashable, Mapping, Sequence
from typing import Any

from eagle_bench.config.run import RESULT_IRRELEVANT
from eagle_bench.errors import printable
from eagle_bench.records.job import Job
from eagle_bench.results.flatten import flatten

GEN_LEN = "gen_len"


def settings(config: Mapping[str, Any]) -> dict[str, Any]:
    """Settings that can be swept, by dotted path; lists as tuples."""
    flat = flatten({k: v for k, v in config.items() if k not in RESULT_IRRELEVANT})
    return {key: tuple(v) if isinstance(v, list) else v for key, v in flat.items()}


def swept_keys(jobs: Sequence[Job]) -> list[str]:
    """Dotted paths of the settings that differ between jobs, groups and `gen_len` first.

    A setting that only some jobs have does not count, nor does one that follows from the
    choice of its group (`drafter.path` when `drafter.name` tells as much).
    """
    configs = [settings(job.config) for job in jobs if job.config]
    names = list(dict.fromkeys(key for config in configs for key in config))
    differing = [key for key in names if _values(configs, key, {}) > 1]
    kept = [key for key in differing if not _follows_from_group(configs, key, differing)]
    return sorted(kept, key=lambda key: (key != GEN_LEN, not key.endswith(".name")))


def label(key: str, keys: Sequence[str]) -> str:
    """Column heading of a setting: short where that is unambiguous among `keys`."""
    if key == GEN_LEN:
        return "Length"
    if key.endswith(".name"):
        return key.removesuffix(".name").capitalize()
    short = key.rpartition(".")[2]
    clashes = [other for other in keys if other.rpartition(".")[2] == short]
    return key if len(clashes) > 1 else short


def slug(key: str) -> str:
    """File-name part of a setting: `decoding.draft_len` is `draft_len`."""
    return key.removesuffix(".name").rpartition(".")[2]


def value_text(value: object) -> str:
    """A setting's value as a cell."""
    if value is None:
        return "–"
    if isinstance(value, tuple):
        return "[" + ", ".join(map(str, value)) + "]"
    return f"{value:g}" if isinstance(value, float) else printable(str(value))


def sort_jobs(jobs: Sequence[Job], keys: Sequence[str]) -> list[Job]:
    """Order jobs by their swept values: numbers by size, then texts (`step_5` before `step_24`)."""
    return sorted(jobs, key=lambda job: [_rank(settings(job.config).get(key)) for key in keys])


def _rank(value: object) -> tuple[float, list[tuple[str, int]]]:
    if isinstance(value, (int, float)):
        return float(value), []
    parts = re.findall(r"(\D*)(\d*)", value_text(value))
    return math.inf, [(text, int(digits or -1)) for text, digits in parts]


def _values(configs: Sequence[dict[str, Any]], key: str, where: Mapping[str, Any]) -> int:
    """Count the distinct values of `key` among the configs that agree with `where`."""
    return len(
        {
            _hashable(config[key])
            for config in configs
            if key in config and all(config.get(k) == v for k, v in where.items())
        }
    )


def _follows_from_group(
    configs: Sequence[dict[str, Any]], key: str, differing: Sequence[str]
) -> bool:
    name = f"{key.partition('.')[0]}.name"
    if key == name or name not in differing:
        return False
    choices = {config.get(name) for config in configs}
    return all(_values(configs, key, {name: choice}) <= 1 for choice in choices)


def _hashable(value: object) -> Hashable:
    return value if isinstance(value, (str, int, float, type(None))) else repr(value)
