"""Every study runs in a tiny form, and a finished one is kept by one command."""

from __future__ import annotations

import json
import re
import shlex
import sys
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
import yaml
from hydra.core.global_hydra import GlobalHydra

from eagle_bench import run, train
from eagle_bench.config.training import Eagle3TrainingConfig
from eagle_bench.errors import UserError
from eagle_bench.launch.registry import CONF
from eagle_bench.results import show
from eagle_bench.results.collect import load_results
from experiments.acceptance.theory import main as judge
from experiments.acceptance.theory import tabulate
from experiments.record import record

EXPERIMENTS = Path(__file__).parents[2] / "experiments"
QUICK = (
    *("num_samples=1", "tracker=none", "output=quiet", "measure.warmup_max=1"),
    *("measure.preflight=false", "measure.bootstrap_resamples=100"),
)
TINY = {
    "length_sweep": {"gen_len": "4,8"},
    "draft_len": {"gen_len": "8", "decoding.draft_len": "1,3"},
    "drafter_quality": {"gen_len": "8", "drafter.path": "{heads}/step_1,eagle_bench/assets/eagle3"},
    "acceptance": {"gen_len": "8", "drafter": "oracle,random", "decoding.draft_len": "2"},
    "kv_cache": {"gen_len": "8"},
    "tree_against_chain": {"gen_len": "8", "decoding": "chain,eagle_tree"},
    "adaptive_against_fixed": {"gen_len": "8", "decoding": "chain_2,adaptive_ema"},
    "drafters": {"gen_len": "8", "decoding.draft_len": "2", "drafter": "embedded,embedded_dflash"},
    "engines": {"gen_len": "8", "engine": "own"},
    "batch_size": {"gen_len": "8", "num_samples": "2", "batch_size": "1,2"},
}
"""Fewer points of each study."""

Sweep = Callable[[str], Path]


def call(main: Callable[[], None], *arguments: str) -> None:
    """A console command in this process, without the pictures of single jobs."""
    GlobalHydra.instance().clear()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(show, "plot_run", lambda job, folder: [])
        patch.setattr(sys, "argv", ["command", *arguments])
        main()


def commands(study: str) -> list[list[str]]:
    """The command lines of a study's README, in words."""
    text = (EXPERIMENTS / study / "README.md").read_text()
    return [shlex.split(line) for line in re.findall(r"^    (python .*)$", text, re.MULTILINE)]


@pytest.fixture(scope="module")
def sweep(tmp_path_factory: pytest.TempPathFactory) -> Sweep:
    """Runs a study in its tiny form, once, and gives its folder."""
    done: dict[str, Path] = {}

    def swept(study: str) -> Path:
        if study not in done:
            folder = tmp_path_factory.mktemp(study)
            if study == "drafter_quality":
                train_heads(folder / "heads")
            overrides = [
                f"{key}={value.format(heads=folder / 'heads')}"
                for key, value in TINY[study].items()
            ]
            call(run.main, "-m", f"+experiment={study}", *QUICK, *overrides, f"output_dir={folder}")
            [done[study]] = (folder / "sweeps").iterdir()
        return done[study]

    return swept


def train_heads(folder: Path) -> None:
    """The README's own training with a budget of two steps."""
    [words] = [words for words in commands("drafter_quality") if "eagle_bench.train" in words]
    call(train.main, *words[3:], "training.tokens=512", "training.batch_tokens=256",
         "training.micro_tokens=256", "training.phases=[{seq_len: 64, share: 1.0}]",
         f"output_dir={folder}")  # fmt: skip


@pytest.mark.parametrize("study", TINY)
def test_a_study_measures_every_point(study: str, sweep: Sweep) -> None:
    results = load_results(sweep(study))
    jobs = results.jobs
    points = 1
    for key, values in TINY[study].items():
        name = key if key in jobs else f"{key}.name"
        if name in jobs.columns and "," in values:
            assert jobs[name].nunique() == len(values.split(","))
            points *= len(values.split(","))
    assert len(jobs) == (3 if study == "kv_cache" else points)
    assert set(jobs["status"]) == {"complete"}
    assert set(jobs["lossless.exact_share"]) == {1.0}
    rows = results.generations
    assert not rows.duplicated(["job", "prompt_id", "arm", "repeat"]).any()
    assert len(rows) == sum(jobs["prompts"]) * 2
    assert (rows["new_tokens"] <= rows["gen_len"]).all()
    alone = rows[rows["arm"] == "baseline"]
    assert (alone["target_calls"] == alone["new_tokens"]).all()


def test_no_study_is_left_out() -> None:
    files = {file.stem for file in (Path(CONF) / "experiment").glob("*.yaml")}
    assert set(TINY) == files
    for study in TINY:
        first = ["python", "-m", "eagle_bench.run", "-m", f"+experiment={study}"]
        assert first in commands(study)


def test_the_heads_that_the_study_asks_for_are_what_the_training_leaves() -> None:
    """At the full budget, by the shares of the README and the settings of `training=eagle3`."""
    training = yaml.safe_load((Path(CONF) / "training" / "eagle3.yaml").read_text())
    steps = training["tokens"] // training["batch_tokens"]
    [words] = [words for words in commands("drafter_quality") if "eagle_bench.train" in words]
    settings = dict(word.split("=", 1) for word in words if "=" in word)
    shares = yaml.safe_load(settings["training.snapshots"])
    assert Eagle3TrainingConfig(name="eagle3", snapshots=shares).snapshots == shares
    left = [f"{settings['output_dir']}/step_{max(1, round(share * steps))}" for share in shares]
    study = yaml.safe_load((Path(CONF) / "experiment" / "drafter_quality.yaml").read_text())
    asked = study["hydra"]["sweeper"]["params"]["drafter.path"].replace(" ", "").split(",")
    assert asked == [*left, "eagle_bench/assets/eagle3"]


def test_without_a_cache_a_chain_goes_through_the_same_rounds(sweep: Sweep) -> None:
    jobs = load_results(sweep("kv_cache")).jobs.set_index("decoding.name")
    calls = {name: jobs.loc[name, f"arms.{name}.target_calls"] for name in jobs.index}
    assert calls["one_pass"] == calls["chain"] < calls["two_pass"]


def test_recording_keeps_table_pictures_and_the_command(sweep: Sweep, tmp_path: Path) -> None:
    folder, study = sweep("draft_len"), tmp_path / "draft_len"
    study.mkdir()
    with pytest.raises(UserError, match=r"no README\.md"):
        record(folder, study)
    (study / "README.md").touch()
    lines = record(folder, study)
    assert "python -m eagle_bench.run -m +experiment=draft_len num_samples=1" in lines
    assert "decoding.draft_len=1,3" in lines
    assert "embedded · embedded · embedded (1 prompts) · float32 · 1 thread of " in lines
    assert re.search(r" · 20\d\d-\d\d-\d\d · commit \w+\.$", lines, re.MULTILINE)
    assert "few_prompts" in lines
    kept = pd.read_csv(study / "sweep.csv")
    pd.testing.assert_frame_equal(
        kept.drop(columns="folder"), pd.read_csv(folder / "sweep.csv").drop(columns="folder")
    )
    assert (study / "speedup_by_draft_len.png").is_file()
    for file in (study / "sweep.csv", study / "table.md"):
        assert str(folder.parent) not in file.read_text()
    assert str(folder.parent) not in lines


def test_an_unfinished_sweep_is_not_recorded(sweep: Sweep, tmp_path: Path) -> None:
    folder = tmp_path / "sweep"
    (folder / "job").mkdir(parents=True)
    [job, *_] = sweep("draft_len").glob("*/result.json")
    failed = json.loads(job.read_text()) | {"status": "failed", "reason": "no disk"}
    (folder / "job" / "result.json").write_text(json.dumps(failed))
    (tmp_path / "README.md").touch()
    with pytest.raises(UserError, match="0 of 1 jobs"):
        record(folder, tmp_path)


def test_calls_per_token_stand_beside_both_predictions(sweep: Sweep, tmp_path: Path) -> None:
    folder = sweep("acceptance")
    table = tabulate([folder]).set_index("drafter")
    assert table.loc["random", "alpha"] == 0.0
    assert table.loc["oracle", "alpha"] == 1.0
    assert list(table["i.i.d. tau"]) == [1.0, pytest.approx(table.loc["oracle", "tau"])]
    judge([folder], tmp_path)
    assert (tmp_path / "calls_by_acceptance.png").is_file()
    assert len((tmp_path / "theory.md").read_text().splitlines()) == 4
