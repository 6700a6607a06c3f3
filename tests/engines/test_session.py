"""What jobs of a sweep share, and what they must not."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from engine_run import engine_config

from eagle_bench import assets
from eagle_bench.config.decoding import ChainConfig
from eagle_bench.config.drafter import PEagleConfig
from eagle_bench.config.model import ModelConfig
from eagle_bench.engines.session import Loader


def test_a_head_that_drafts_at_once_is_built_for_each_depth() -> None:
    loader = Loader()
    reaches = []
    for depth in (2, 4, 4):
        chain = ChainConfig(name="chain", draft_len=depth)
        head = PEagleConfig(name="embedded_p_eagle")
        drafter = loader.session(engine_config(drafter=head, decoding=chain)).drafter.drafter
        drafter.start(1, 16)
        reaches.append(drafter.reach())
    assert reaches == [2, 4, 4]
    assert loader.loads == 3


def test_the_templates_end_of_turn_ends_an_answer_and_is_said(tmp_path: Path) -> None:
    folder = shutil.copytree(assets.TARGET, tmp_path / "target")
    for name in ("config.json", "generation_config.json"):
        settings = json.loads((folder / name).read_text())
        (folder / name).write_text(json.dumps(settings | {"eos_token_id": 0}))
    loader = Loader()
    model = ModelConfig(name="local", path=str(folder))
    session = loader.session(engine_config(model=model))
    assert session.target.spec.stops == {0, 1}
    assert "ends an answer with <|end|>, which the target's config does" in session.remarks[-1]
    plain = loader.session(engine_config(model=model, chat_template="none"))
    assert plain.target.spec.stops == {0}
    assert plain.remarks == []
    sound = Loader().session(engine_config())
    assert sound.target.spec.stops == {1}
    assert sound.remarks == []
