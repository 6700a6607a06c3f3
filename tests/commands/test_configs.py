"""Every YAML in `conf/` composes into its schema."""

from __future__ import annotations

from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from eagle_bench import schema
from eagle_bench.config import RunConfig
from eagle_bench.training.config import TrainConfig

CONF = Path(schema.CONF)
GROUPS = ("model", "drafter", "dataset", "decoding", "tracker", "sweep")
CHOICES = [(group, file.stem) for group in GROUPS for file in sorted((CONF / group).glob("*.yaml"))]
TRAININGS = sorted(file.stem for file in (CONF / "training").glob("*.yaml"))


@pytest.fixture(autouse=True)
def _registered() -> None:
    schema.register()


@pytest.mark.parametrize(("group", "choice"), CHOICES)
def test_every_choice_composes_and_validates(group: str, choice: str) -> None:
    with initialize_config_dir(str(CONF), version_base="1.3"):
        config = compose("config", overrides=[f"{group}={choice}"])
    assert isinstance(OmegaConf.to_object(config), RunConfig)


@pytest.mark.parametrize("choice", TRAININGS)
def test_every_training_composes_and_validates(choice: str) -> None:
    with initialize_config_dir(str(CONF), version_base="1.3"):
        config = compose("train", overrides=[f"training={choice}"])
    assert isinstance(OmegaConf.to_object(config), TrainConfig)


def test_every_yaml_is_one_of_them() -> None:
    found = {(file.parent.name, file.stem) for file in CONF.glob("*/*.yaml")}
    assert found == {*CHOICES, *(("training", name) for name in TRAININGS)}
