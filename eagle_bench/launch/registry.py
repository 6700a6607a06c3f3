"""Registers every settings class with Hydra, and finds `conf/` in a checkout or a wheel."""

from __future__ import annotations

from pathlib import Path

from hydra.core.config_store import ConfigStore
from omegaconf import OmegaConf

from eagle_bench.config.dataset import DatasetConfig
from eagle_bench.config.decoding import DECODINGS
from eagle_bench.config.drafter import DRAFTERS
from eagle_bench.config.engine import ENGINES
from eagle_bench.config.model import ModelConfig
from eagle_bench.config.pair import DistributionConfig, ProxyConfig
from eagle_bench.config.run import RunConfig
from eagle_bench.config.tracker import TrackerConfig
from eagle_bench.config.training import TRAININGS, TrainConfig
from eagle_bench.launch import folders

PACKAGE = Path(__file__).resolve().parents[1]
CONF = str(PACKAGE / "conf" if (PACKAGE / "conf").is_dir() else PACKAGE.parent / "conf")


def presets(group: str) -> list[Path]:
    """The files of what can be chosen in a group of `conf/`, by their names."""
    return sorted((Path(CONF) / group).glob("*.yaml"))


def register(primary: str | None = None) -> None:
    """Make known the schemas that `conf/**/*.yaml` refer to, and the names of folders.

    `primary` is the command's config: a command registers only what it can compose. None registers
    everything.
    """
    folders.register()
    store = ConfigStore.instance().store
    if primary in (None, "train"):
        store(name="train_schema", node=TrainConfig)
        for name, training in TRAININGS.items():
            store(group="training", name=f"{name}_schema", node=training)
    if primary == "train":
        return
    for name, kind in (
        ("run_schema", RunConfig),
        ("proxy_schema", ProxyConfig),
        ("distribution_schema", DistributionConfig),
    ):
        node = OmegaConf.structured(kind)
        OmegaConf.set_struct(node.chat_template_kwargs, False)
        store(name=name, node=node)
    store(group="model", name="schema", node=ModelConfig)
    store(group="dataset", name="schema", node=DatasetConfig)
    store(group="tracker", name="schema", node=TrackerConfig)
    for name, engine in ENGINES.items():
        store(group="engine", name=f"{name}_schema", node=engine)
    for name, drafter in DRAFTERS.items():
        node = OmegaConf.structured(drafter)
        if "settings" in node:
            OmegaConf.set_struct(node.settings, False)
        store(group="drafter", name=f"{name}_schema", node=node)
    for name, method in DECODINGS.items():
        store(group="decoding", name=f"{name}_schema", node=method)
