"""Registers every settings class with Hydra, and finds `conf/` in a checkout or a wheel."""

from __future__ import annotations

from pathlib import Path

from hydra.core.config_store import ConfigStore

from eagle_bench import config as c
from eagle_bench import folders
from eagle_bench import pair_config as p
from eagle_bench.training import config as t

PACKAGE = Path(__file__).resolve().parent
CONF = str(PACKAGE / "conf" if (PACKAGE / "conf").is_dir() else PACKAGE.parent / "conf")
ASSETS = PACKAGE / "assets"

DRAFTERS: dict[str, type[c.DrafterConfig]] = {
    "eagle3": c.Eagle3Config,
    "prompt_lookup": c.PromptLookupConfig,
    "draft_model": c.DraftModelConfig,
    "oracle": c.OracleConfig,
    "random": c.RandomConfig,
}
TRAININGS: dict[str, type[t.TrainingConfig]] = {
    "target": t.TargetTrainingConfig,
    "draft_model": t.DraftModelTrainingConfig,
    "eagle3": t.Eagle3TrainingConfig,
}
DECODINGS: dict[str, type[c.DecodingConfig]] = {
    "chain": c.ChainConfig,
    "two_pass": c.TwoPassConfig,
    "one_pass": c.OnePassConfig,
    "tree": c.TreeConfig,
    "static_tree": c.StaticTreeConfig,
    "adaptive": c.AdaptiveConfig,
}


def register(primary: str | None = None) -> None:
    """Make known the schemas that `conf/**/*.yaml` refer to, and the names of folders.

    `primary` is the command's config: Hydra's `--help` copies all that is known once for each
    group, so a command registers only what it can compose. None registers everything.
    """
    folders.register()
    store = ConfigStore.instance().store
    if primary in (None, "train"):
        store(name="train_schema", node=t.TrainConfig)
        for name, training in TRAININGS.items():
            store(group="training", name=f"{name}_schema", node=training)
    if primary == "train":
        return
    store(name="run_schema", node=c.RunConfig)
    store(name="proxy_schema", node=p.ProxyConfig)
    store(name="distribution_schema", node=p.DistributionConfig)
    store(group="model", name="schema", node=c.ModelConfig)
    store(group="dataset", name="schema", node=c.DatasetConfig)
    store(group="tracker", name="schema", node=c.TrackerConfig)
    for name, drafter in DRAFTERS.items():
        store(group="drafter", name=f"{name}_schema", node=drafter)
    for name, method in DECODINGS.items():
        store(group="decoding", name=f"{name}_schema", node=method)
