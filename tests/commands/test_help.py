"""`--help` tells what each setting means and can be, from where it is described already."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import pytest
from hydra.types import RunMode

from eagle_bench.config.dataset import DatasetConfig
from eagle_bench.config.decoding import DECODINGS
from eagle_bench.config.drafter import DRAFTERS
from eagle_bench.config.engine import ENGINES
from eagle_bench.config.measure import MeasureConfig
from eagle_bench.config.model import ModelConfig
from eagle_bench.config.pair import DistributionConfig, ProxyConfig
from eagle_bench.config.run import RunConfig
from eagle_bench.config.tracker import TrackerConfig
from eagle_bench.launch.help import WIDTH, help_text, meanings
from eagle_bench.launch.planning import composed

GROUPS = {"model", "drafter", "dataset", "decoding", "tracker", "engine", "measure"}
KINDS = {
    *(RunConfig, ProxyConfig, DistributionConfig, ModelConfig, DatasetConfig, TrackerConfig),
    *(MeasureConfig, *DRAFTERS.values(), *DECODINGS.values(), *ENGINES.values()),
}


@pytest.mark.parametrize("kind", sorted(KINDS, key=lambda kind: kind.__name__))
def test_every_setting_has_a_meaning(kind: Any) -> None:
    own = {each.name for each in fields(kind)} - GROUPS
    own -= set() if kind is RunConfig else {"name"}
    assert own <= set(meanings(RunConfig) | meanings(kind))


def test_help_shows_choices_and_no_schema() -> None:
    config = composed("config", ["decoding=tree", "gen_len=50"], RunMode.MULTIRUN)
    text = help_text("eagle-bench run", config)
    assert "\ngen_len=50 " in text
    assert "(eos | length)" in text
    assert "\ndecoding.num_draft_tokens=24 " in text
    assert "schema" not in text
    assert max(map(len, text.splitlines())) <= WIDTH
