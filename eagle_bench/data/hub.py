"""Files of a hub dataset: from the local cache when offline, downloaded otherwise."""

from __future__ import annotations

from fnmatch import fnmatch
from pathlib import Path

from eagle_bench.config.dataset import DatasetConfig
from eagle_bench.errors import UserError
from eagle_bench.machine import hub

SUFFIXES = (".parquet", ".jsonl", ".json")


def fetch(config: DatasetConfig) -> list[Path]:
    """Local paths of the data files that `hub`, `hub_config` and `split` name.

    `hub` is `OWNER/NAME`, whose files are found by configuration and split, or
    `OWNER/NAME/PATH/IN/THE/REPOSITORY`, one file. `HF_HUB_OFFLINE` is honoured.
    """
    assert config.hub is not None
    repository = "/".join(config.hub.split("/")[:2])
    patterns = _patterns(config)
    local = f"get the file and set dataset={config.name} dataset.path=FILE"
    try:
        folder = hub.fetch(repository, patterns, "dataset")
    except hub.Absent as why:
        raise UserError(
            f"The hub dataset {repository} {why}; check its name and your access, or {local} "
            f"({', '.join(patterns)} of that dataset)."
        ) from None
    for pattern in patterns:
        files = sorted(
            path for path in folder.rglob("*") if fnmatch(str(path.relative_to(folder)), pattern)
        )
        if files:
            return files
    raise UserError(
        f"The hub dataset {repository} has no file like {' or '.join(patterns)}; set "
        f"dataset.hub_config and dataset.split, name the file with dataset.hub={repository}/FILE, "
        f"or {local}."
    )


def _patterns(config: DatasetConfig) -> list[str]:
    """Glob patterns over paths in the repository, the preferred format first."""
    assert config.hub is not None
    inside = "/".join(config.hub.split("/")[2:])
    if inside:
        return [inside]
    stem = (
        f"*{config.split}*"
        if config.hub_config is None
        else f"*{config.hub_config}*{config.split}*"
    )
    return [stem + suffix for suffix in SUFFIXES]
