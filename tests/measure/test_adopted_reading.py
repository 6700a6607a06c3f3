"""A reading that wins and that the folder allows is taken: the embedded head, said wrongly."""

import json
import shutil
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from eagle_bench import assets
from eagle_bench.config.dataset import DatasetConfig
from eagle_bench.config.decoding import ChainConfig
from eagle_bench.config.drafter import Eagle3Config
from eagle_bench.config.measure import MeasureConfig
from eagle_bench.config.model import ModelConfig
from eagle_bench.config.run import RunConfig
from eagle_bench.config.tracker import TrackerConfig
from eagle_bench.config.values import DType, ReadAs
from eagle_bench.drafters.build import load_eagle_head
from eagle_bench.drafters.heads.reading import HeadReading
from eagle_bench.engines.session import Loader
from eagle_bench.errors import UserError
from eagle_bench.measure.job import run_job
from eagle_bench.measure.probe.ask import questions
from eagle_bench.measure.probe.continuation import all_choices
from eagle_bench.measure.probe.judgement import Judgement
from eagle_bench.measure.probe.preflight import preflight
from eagle_bench.measure.probe.readings import Reading, as_read, readings
from eagle_bench.models.load import load_target
from eagle_bench.models.target import Target
from eagle_bench.records.job import Job
from eagle_bench.records.rows import GenerationRow

WEIGHTS = "model.safetensors"
RIGHT = Eagle3Config(name="embedded")


class Listener:
    def __init__(self) -> None:
        self.lines: list[str] = []

    def start(self, total: int, repeat: int) -> None:
        pass

    def advance(self, row: GenerationRow) -> None:
        pass

    def say(self, line: str) -> None:
        self.lines.append(line)

    def phase(self, what: str) -> AbstractContextManager[None]:
        return nullcontext()


@pytest.fixture(scope="module")
def loader() -> Loader:
    return Loader()


@pytest.fixture(scope="module")
def target() -> Target:
    return load_target(ModelConfig(name="embedded"), DType.float32, torch.device("cpu"))


@pytest.fixture(scope="module")
def prompts(target: Target) -> list[list[int]]:
    return questions(target)


def folder_of(path: Path, embeddings: bool = False, **said: object) -> Path:
    """The embedded head whose config.json says something else; with strange `embeddings`."""
    shutil.copytree(assets.EAGLE3, path)
    file = path / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | said))
    if embeddings:
        tensors = load_file(path / WEIGHTS)
        strange = torch.randn(768, 128, generator=torch.Generator().manual_seed(0))
        save_file(tensors | {"embed_tokens.weight": 0.02 * strange}, path / WEIGHTS)
    return path


def job(
    out: Path, loader: Loader, drafter: Eagle3Config, asked: bool = True
) -> tuple[Job, Listener]:
    listener = Listener()
    config = RunConfig(
        model=ModelConfig("embedded"),
        drafter=drafter,
        dataset=DatasetConfig("embedded"),
        decoding=ChainConfig("chain"),
        tracker=TrackerConfig("none"),
        measure=MeasureConfig(preflight=asked, warmup_max=1, bootstrap_resamples=100),
        num_samples=4,
        gen_len=24,
        threads=1,
    )
    return run_job(config, out, loader, listener), listener


def tau(done: Job) -> float:
    assert done.summary is not None
    return float(done.summary["arms"]["chain"]["tau"])


def guards(done: Job) -> set[str]:
    assert done.summary is not None
    return {guard["name"] for guard in done.summary["guards"]}


def test_a_run_takes_the_reading_says_so_and_records_both(tmp_path: Path, loader: Loader) -> None:
    """Jobs of one process share what is loaded; each reads the head by its own settings."""
    wrong = replace(RIGHT, path=str(folder_of(tmp_path / "head", norm_output=True)))
    right, _ = job(tmp_path / "right", loader, RIGHT)
    adopted, listener = job(tmp_path / "adopted", loader, wrong)
    unasked, _ = job(tmp_path / "unasked", loader, wrong, asked=False)
    again, _ = job(tmp_path / "again", loader, wrong)
    left, said = job(tmp_path / "left", loader, replace(wrong, reading=ReadAs.as_configured))
    assert tau(adopted) == tau(again) == tau(right) > tau(left) == tau(unasked)
    [line] = [line for line in listener.lines if line.startswith("pre-flight ok")]
    assert "under norm_output=false, which is taken" in line
    assert any("set drafter.norm_output=false" in line for line in said.lines)
    assert adopted.provenance["drafter"]["reading"]["norm_output"]["value"] is True
    found = adopted.provenance["preflight"]
    assert found["verdict"] == "adopted"
    assert found["adopted"]["norm_output"] == {"value": False, "why": "found by the pre-flight"}
    assert left.provenance["preflight"]["verdict"] == "misread"
    assert left.provenance["preflight"]["adopted"] is None
    assert "preflight" in guards(left) - guards(adopted)


def test_rows_of_another_reading_are_not_gone_on_with(
    tmp_path: Path, loader: Loader, monkeypatch: pytest.MonkeyPatch
) -> None:
    job(tmp_path, loader, RIGHT)
    (tmp_path / "result.json").unlink()
    monkeypatch.setattr(HeadReading, "sha256", lambda self: "another")
    with pytest.raises(UserError, match="The reading of the head changed"):
        job(tmp_path, loader, RIGHT)


@pytest.mark.parametrize(
    ("said", "embeddings", "words"),
    [
        ({"sliding_window": 4}, False, "no sliding window"),
        ({}, True, "the target's embeddings"),
    ],
)
def test_what_the_folder_leaves_open_is_taken(
    said: dict[str, Any],
    embeddings: bool,
    words: str,
    target: Target,
    prompts: list[list[int]],
    tmp_path: Path,
) -> None:
    path = str(folder_of(tmp_path / "head", embeddings, **said))
    found = preflight(load_eagle_head(replace(RIGHT, path=path), target).head, target, prompts)
    assert found.verdict == "adopted", found.sentence
    assert f"under {words}, which is taken" in found.sentence
    assert found.adopted is not None
    assert (found.adopted.window, found.adopted.own_embeddings) == (None, False)


def test_the_other_convention_of_ids_is_taken(target: Target, prompts: list[list[int]]) -> None:
    head = load_eagle_head(RIGHT, target).head
    reading = replace(
        head.config.reading, aux_layers=(3, 11, 18), others={"aux_layers": ((2, 10, 17),)}
    )
    found = preflight(head.variant(reading), target, prompts)
    assert found.verdict == "adopted", found.sentence
    assert found.adopted is not None
    assert found.adopted.aux_layers == (2, 10, 17)


@pytest.mark.parametrize("ours", [True, False])
def test_what_the_user_or_the_folder_states_is_told_only(
    ours: bool, target: Target, prompts: list[list[int]], tmp_path: Path
) -> None:
    wrong = folder_of(tmp_path / "head", rope_theta=1e6)
    told = replace(RIGHT, norm_output=True) if ours else replace(RIGHT, path=str(wrong))
    found = preflight(load_eagle_head(told, target).head, target, prompts)
    assert (found.verdict, found.adopted) == ("misread", None)


@pytest.mark.parametrize(("share", "verdict"), [(0.39, "misread"), (0.22, "adopted")])
def test_nothing_is_taken_where_a_forbidden_reading_does_as_well(
    share: float,
    verdict: str,
    target: Target,
    prompts: list[list[int]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The user's override stands in the way of the right reading, which another one resembles."""
    shares = {"the detected settings": 0.2, "norm_before_residual=true": 0.4}
    shares["norm_output=false"] = share

    def hits(head: Any, target: Target, texts: Any, reading: Reading) -> Judgement:
        choices = all_choices(texts)
        draw = torch.rand(len(choices), generator=torch.Generator().manual_seed(0))
        hit = draw < shares.get(reading.name, 0.05)
        return Judgement(torch.zeros(len(choices)), torch.where(hit, choices, choices + 1))

    monkeypatch.setattr("eagle_bench.measure.probe.preflight.judge", hits)
    head = load_eagle_head(replace(RIGHT, norm_output=True), target).head
    found = preflight(head, target, prompts)
    assert (found.verdict, found.adopted is None) == (verdict, verdict == "misread")
    assert found.sentence.endswith(
        "and hardly less under norm_output=false, which the folder or a setting speaks against, so "
        "nothing is taken: set drafter.norm_before_residual=true or drafter.norm_output=false."
        if verdict == "misread"
        else "which is taken; drafter.reading=as_configured leaves it."
    )


def test_a_window_that_is_off_is_tried(target: Target, tmp_path: Path) -> None:
    path = folder_of(tmp_path / "head", sliding_window=4, use_sliding_window=False)
    assert "a sliding window of 4" in tried(RIGHT, path, target)
    assert not any("window" in name for name in tried(RIGHT, assets.EAGLE3, target))


def test_the_last_boundary_is_tried_behind_the_final_norm(target: Target, tmp_path: Path) -> None:
    ids = {"eagle_aux_hidden_state_layer_ids": [2, 10, 20]}
    names = tried(RIGHT, folder_of(tmp_path / "head", **ids), target)
    assert names["the last state behind the final norm"] == (2, 10, 21)
    assert not any("behind" in name for name in tried(RIGHT, assets.EAGLE3, target))


def tried(settings: Eagle3Config, path: Path, target: Target) -> dict[str, Any]:
    """By name of every allowed reading, the boundaries that it reads."""
    head = load_eagle_head(replace(settings, path=str(path)), target).head
    layers = target.spec.num_layers
    found = readings(as_read(head.config, layers), layers)
    return {each.name: each.aux for each in found if each.allowed}
