"""Hub datasets through huggingface_hub itself, on a cache folder made here, without network."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import huggingface_hub.constants
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from omegaconf import OmegaConf

from eagle_bench.config.dataset import DatasetConfig
from eagle_bench.data.loader import load_prompts
from eagle_bench.errors import UserError

PRESETS = Path(__file__).parents[2] / "conf" / "dataset"
Publish = Callable[[str, dict[str, list[Any]]], None]


@pytest.fixture
def publish(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Publish:
    """Puts files of a dataset into the cache that huggingface_hub reads when offline."""
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)

    def put(repository: str, files: dict[str, list[Any]]) -> None:
        folder = tmp_path / f"datasets--{repository.replace('/', '--')}"
        (folder / "refs").mkdir(parents=True)
        (folder / "refs" / "main").write_text("a" * 40)
        for name, rows in files.items():
            path = folder / "snapshots" / ("a" * 40) / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if path.suffix == ".parquet":
                pq.write_table(pa.Table.from_pylist(rows), path)
            else:
                path.write_text("\n".join(json.dumps(row) for row in rows))

    return put


def texts(**settings: Any) -> list[str]:
    found = load_prompts(DatasetConfig(name="preset", **settings), 99, 0)
    return [prompt.turns[0] for prompt in found.prompts]


def test_configuration_and_split_choose_the_file(publish: Publish) -> None:
    names = ["main/test-0.jsonl", "main/train-0.jsonl", "other/test-0.jsonl"]
    publish("own/set", {name: [{"text": name}] for name in names})
    assert texts(hub="own/set", hub_config="main") == ["main/test-0.jsonl"]
    assert texts(hub="own/set", hub_config="main", split="train") == ["main/train-0.jsonl"]
    assert texts(hub="own/set", hub_config="other") == ["other/test-0.jsonl"]


def test_shards_are_read_in_order_and_the_first_format_alone(publish: Publish) -> None:
    files = {f"test-{i}.jsonl": [{"text": f"shard {i}"}] for i in (1, 0)}
    publish("own/set", {**files, "test.json": [{"text": "the same as json"}]})
    assert texts(hub="own/set") == ["shard 0", "shard 1"]


def test_a_file_by_its_path(publish: Publish) -> None:
    publish("own/set", {"raw/question.jsonl": [{"text": "a"}], "raw/b.jsonl": [{"text": "b"}]})
    assert texts(hub="own/set/raw/question.jsonl") == ["a"]


def test_a_local_path_goes_before_the_hub(publish: Publish, tmp_path: Path) -> None:
    path = tmp_path / "local.jsonl"
    path.write_text('{"text": "local"}')
    assert texts(hub="own/absent", path=str(path)) == ["local"]


def test_offline_without_the_file_says_what_would_do(publish: Publish) -> None:
    with pytest.raises(UserError) as caught:
        texts(hub="own/absent", hub_config="main")
    message = str(caught.value)
    assert "own/absent is neither cached on this machine nor reachable" in message
    assert "dataset=preset dataset.path=FILE" in message
    assert "*main*test*.parquet" in message


def test_no_such_split(publish: Publish) -> None:
    publish("own/set", {"train.jsonl": [{"text": "a"}]})
    with pytest.raises(UserError, match=r"own/set has no file like \*test\*.parquet or"):
        texts(hub="own/set")


def test_a_malformed_name(publish: Publish) -> None:
    with pytest.raises(UserError, match="own set! must look like OWNER/NAME"):
        texts(hub="own set!")


@pytest.mark.parametrize(
    ("name", "repository", "file", "row"),
    [
        (
            "mt_bench",
            "HuggingFaceH4/mt_bench_prompts",
            "raw/question.jsonl",
            {"question_id": 81, "category": "writing", "turns": ["One?", "Two?"]},
        ),
        (
            "humaneval",
            "openai/openai_humaneval",
            "openai_humaneval/test-00000-of-00001.parquet",
            {"task_id": "HumanEval/0", "prompt": "One?", "canonical_solution": "1"},
        ),
        (
            "gsm8k",
            "openai/gsm8k",
            "main/test-00000-of-00001.parquet",
            {"question": "One?", "answer": "#### 1"},
        ),
        (
            "math500",
            "HuggingFaceH4/MATH-500",
            "test.jsonl",
            {"problem": "One?", "solution": "1", "subject": "Algebra", "unique_id": "a"},
        ),
        (
            "alpaca",
            "tatsu-lab/alpaca",
            "data/train-00000-of-00001-a09b74b3ef9c3b56.parquet",
            {"instruction": "One?", "input": "", "output": "1", "text": "One? 1"},
        ),
        (
            "cnn_dm",
            "abisee/cnn_dailymail",
            "3.0.0/test-00000-of-00001.parquet",
            {"article": "One?", "highlights": "1", "id": "ab"},
        ),
        (
            "speed_bench",
            "nvidia/SPEED-Bench",
            "qualitative/test-00000-of-00001.parquet",
            {"question_id": "a", "category": "coding", "turns": ["One?"]},
        ),
        (
            "sharegpt",
            "anon8231489123/ShareGPT_Vicuna_unfiltered",
            "ShareGPT_V3_unfiltered_cleaned_split.json",
            {"id": "a_0", "conversations": [{"from": "human", "value": "One?"}]},
        ),
    ],
)
def test_hub_presets_read_their_file_and_no_other(
    publish: Publish, name: str, repository: str, file: str, row: dict[str, Any]
) -> None:
    publish(repository, {file: [row], "1.0.0/validation-other.parquet": [{"text": "no"}]})
    found = load_prompts(preset(name), 9, 0)
    assert [prompt.turns[0].removeprefix("Summarize: ") for prompt in found.prompts] == ["One?"]
    assert found.name == name


@pytest.mark.parametrize("path", sorted(PRESETS.glob("*.yaml")), ids=lambda path: path.stem)
def test_every_preset_is_a_dataset_config(path: Path) -> None:
    assert preset(path.stem).name == path.stem


@pytest.mark.parametrize("name", ["jsonl", "spec_bench"])
def test_presets_without_a_source_of_their_own_ask_for_a_path(name: str) -> None:
    with pytest.raises(UserError, match=f"dataset={name} needs dataset\\.path=FILE"):
        load_prompts(preset(name), 1, 0)


def preset(name: str) -> DatasetConfig:
    """`conf/dataset/NAME.yaml` on its schema, as Hydra composes it."""
    values = OmegaConf.load(PRESETS / f"{name}.yaml")
    assert values.pop("defaults") == ["schema", "_self_"]
    config = OmegaConf.to_object(OmegaConf.merge(OmegaConf.structured(DatasetConfig), values))
    assert isinstance(config, DatasetConfig)
    return config
