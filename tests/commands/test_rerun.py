"""`python -m eagle_bench.rerun`: a run repeated from its own record."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from eagle_bench.config.run import RunConfig
from eagle_bench.config.values import plain
from eagle_bench.engines.session import Loader
from eagle_bench.launch import registry as schema
from eagle_bench.launch.recorded import recorded_config
from eagle_bench.measure.job import run_job
from eagle_bench.rerun import main
from eagle_bench.results.progress import ProgressBar

QUICK = "tracker=none num_samples=3 gen_len=8 threads=1 measure.preflight=false".split()
CHOICES = [
    [],
    ["drafter=random", "decoding=tree", "repeats=auto", "stop=length"],
    ["decoding=static_tree", "dataset=jsonl", "dataset.path=x", "temperature=0.5"],
    ["decoding=two_pass"],
    ["decoding=adaptive", "drafter=prompt_lookup", "model=local", "model.path=x"],
]


def composed(*overrides: str) -> RunConfig:
    schema.register()
    with initialize_config_dir(schema.CONF, version_base="1.3"):
        config = OmegaConf.to_object(compose("config", list(overrides)))
    assert isinstance(config, RunConfig)
    return config


@pytest.mark.parametrize("choice", CHOICES)
def test_recorded_settings_are_typed_as_they_were(choice: list[str]) -> None:
    config = composed(*choice)
    assert recorded_config(json.loads(json.dumps(plain(config)))) == config


def test_a_preset_of_the_users_own_is_known_by_its_settings() -> None:
    config = composed("drafter=random", "drafter.name=mine")
    assert recorded_config(plain(config)) == config


@pytest.fixture
def recorded(tmp_path: Path) -> Path:
    run_job(composed(*QUICK), tmp_path / "run", Loader(), ProgressBar(quiet=True))
    return tmp_path / "run"


def test_prompts_that_the_template_renders_otherwise_are_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """To as many tokens as before, as a template that states the time does."""
    template = tmp_path / "t.jinja"
    template.write_text("A {{ messages[0].content }}")
    run = composed(*QUICK, "num_samples=2", f"chat_template={template}", "drafter=prompt_lookup")
    run_job(run, tmp_path / "run", Loader(), ProgressBar(quiet=True))
    for said, told in (("A", False), ("B", True)):
        template.write_text(f"{said} {{{{ messages[0].content }}}}")
        main([str(tmp_path / "run"), "--output", str(tmp_path / said)])
        assert ("2 shared prompts have other prompt tokens in B" in capsys.readouterr().out) == told


def test_a_run_is_repeated_and_a_changed_output_is_told(
    recorded: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main([str(recorded / "result.json"), "--output", str(tmp_path / "again")])
    assert "6 of 6 generations have the same tokens." in capsys.readouterr().out
    rows = [json.loads(line) for line in (recorded / "generations.jsonl").read_text().splitlines()]
    rows[0]["token_ids"][-1] ^= 1
    result = json.loads((recorded / "result.json").read_text())
    result["provenance"]["host"] = "elsewhere"
    (recorded / "result.json").write_text(json.dumps(result))
    (recorded / "generations.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert main([str(recorded), "--output", str(tmp_path / "third")]) == 1
    told = capsys.readouterr().out
    assert "5 of 6 generations have the same tokens." in told
    assert "host: was elsewhere, is" in told


def test_a_folder_without_a_complete_result_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(tmp_path)]) == 2
    assert "result.json" in capsys.readouterr().err
