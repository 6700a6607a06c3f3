"""A head that was trained on other target weights is remarked on."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from eagle_bench import assets
from eagle_bench.config.dataset import DatasetConfig
from eagle_bench.config.decoding import ChainConfig
from eagle_bench.config.drafter import DrafterConfig, Eagle3Config, OracleConfig
from eagle_bench.config.model import ModelConfig
from eagle_bench.config.run import RunConfig
from eagle_bench.config.tracker import TrackerConfig
from eagle_bench.engines.heritage import other_target


def config(drafter: DrafterConfig, model: ModelConfig | None = None) -> RunConfig:
    return RunConfig(
        model=model or ModelConfig("embedded"),
        drafter=drafter,
        dataset=DatasetConfig("embedded"),
        decoding=ChainConfig("chain"),
        tracker=TrackerConfig("none"),
        output_dir="outputs",
    )


def head(folder: Path, sources: object) -> Eagle3Config:
    folder.mkdir()
    (folder / "recipe.json").write_text(json.dumps({"sources": sources}))
    return Eagle3Config("mine", str(folder))


def test_the_shipped_pair_belongs_together() -> None:
    assert other_target(config(Eagle3Config("embedded"))) is None


def test_other_weights_are_remarked_on(tmp_path: Path) -> None:
    other = head(tmp_path / "head", {"target": {"model.safetensors": "0" * 64}})
    remark = other_target(config(other))
    assert remark is not None
    assert "drafter=mine was trained on other target weights (model.safetensors)" in remark
    copied = tmp_path / "target"
    shutil.copytree(assets.TARGET, copied)
    mine = ModelConfig("local", str(copied))
    assert other_target(config(Eagle3Config("embedded"), mine)) is None
    (copied / "model.safetensors").rename(copied / "weights.safetensors")
    assert other_target(config(Eagle3Config("embedded"), mine)) is not None


@pytest.mark.parametrize("sources", [{}, {"target": {}}, None, []])
def test_a_recipe_that_does_not_say_is_no_remark(tmp_path: Path, sources: object) -> None:
    assert other_target(config(head(tmp_path / "head", sources))) is None


def test_a_drafter_without_weights_is_no_remark() -> None:
    assert other_target(config(OracleConfig("oracle"))) is None
