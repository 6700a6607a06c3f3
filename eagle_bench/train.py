"""`python -m eagle_bench.train training=NAME`: train a target, a draft model or a head."""

from __future__ import annotations

from dataclasses import replace

from hydra.core.hydra_config import HydraConfig

from eagle_bench.config.training import TrainConfig
from eagle_bench.launch.command import hydra_command


def train(config: TrainConfig) -> None:
    """Train into the folder that Hydra made."""
    from eagle_bench.training.train import train as train_into

    train_into(replace(config, output_dir=HydraConfig.get().runtime.output_dir))


main = hydra_command(train, "train")

if __name__ == "__main__":
    main()
