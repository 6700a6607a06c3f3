"""The settings that a result holds, typed again, so that it can be repeated."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import fields
from typing import Any

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from eagle_bench.config.dataset import DatasetConfig
from eagle_bench.config.decoding import DECODINGS
from eagle_bench.config.drafter import DRAFTERS
from eagle_bench.config.engine import ENGINES
from eagle_bench.config.model import ModelConfig
from eagle_bench.config.run import RunConfig
from eagle_bench.config.tracker import TrackerConfig
from eagle_bench.errors import UserError

GROUPS: Mapping[str, Mapping[str, type]] = {
    "model": {"model": ModelConfig},
    "drafter": DRAFTERS,
    "dataset": {"dataset": DatasetConfig},
    "decoding": DECODINGS,
    "engine": ENGINES,
    "tracker": {"tracker": TrackerConfig},
}


def recorded_config(settings: Mapping[str, Any]) -> RunConfig:
    """Rebuild the config from what `plain` made of it.

    A preset of the user's own is known by its settings, where its name is not.

    Raises
    ------
    UserError
        They are the settings of another version of eagle_bench.
    """
    node = OmegaConf.structured(RunConfig)
    settings = {"engine": {"name": "own"}, **settings}
    try:
        for group, kinds in GROUPS.items():
            node[group] = OmegaConf.structured(_kind(settings[group], kinds))
        config = OmegaConf.to_object(OmegaConf.merge(node, dict(settings)))
    except (OmegaConfBaseException, KeyError, TypeError, StopIteration) as error:
        lines = str(error).splitlines() or ["they fit none of its choices"]
        raise UserError(
            f"The recorded settings are not of this version of eagle_bench: {lines[0]}."
        ) from error
    assert isinstance(config, RunConfig)
    return config


def _kind(settings: Mapping[str, Any], kinds: Mapping[str, type]) -> type:
    named = kinds.get(settings["name"])
    return named or next(kind for kind in _distinct(kinds) if _names(kind) == set(settings))


def _distinct(kinds: Mapping[str, type]) -> Iterable[type]:
    return dict.fromkeys(kinds.values())


def _names(kind: type) -> set[str]:
    return {field.name for field in fields(kind)}
