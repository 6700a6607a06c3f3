"""The study of a GPU, in a tiny form on the CPU."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from eagle_bench import assets
from eagle_bench.models.load import resolve_device
from experiments.gpu import measure, rounds
from experiments.gpu.pair import random_pair


@pytest.fixture
def tiny(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Words of a short run that keeps its files in `tmp_path`."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(measure, "BATCHES", (1, 2))
    monkeypatch.setattr(measure, "TOKENS", 3)
    return ["device=cpu", "context=96", f"out={tmp_path}"]


def result(words: list[str], folder: Path) -> tuple[dict[str, Any], str]:
    """What a run wrote: its JSON and its page."""
    assert measure.main(words) == 0
    return json.loads((folder / "gpu.json").read_text()), (folder / "gpu.html").read_text()


def test_one_json_and_one_page(tiny: list[str], tmp_path: Path) -> None:
    found, page = result([*tiny, "shapes=tiny"], tmp_path)
    [shape] = found["shapes"]
    assert shape["left_out"] == {}
    assert [each["tokens"] for each in shape["verify"]] == list(range(1, 65))
    methods = [each.name for each in (rounds.BASELINE, *rounds.DRAFTS)]
    assert [(each["method"], each["batch"]) for each in shape["rounds"]] == [
        (method, batch) for batch in (1, 2) for method in methods
    ]
    for each in shape["rounds"]:
        assert each["round_s"] > 0
        assert each["floor_s"] > 0
        assert {"draft", "verify", "accept", "commit", "emit"} <= set(each["phases_s"])
        assert each["host_share"] is each["busy_s"] is each["waits"] is None, "there is no GPU"
    assert "Times only" in page
    assert all(method in page for method in methods)
    assert shape["card"][0] in page


def test_real_weights(tiny: list[str], tmp_path: Path) -> None:
    words = [f"model.path={assets.TARGET}", f"drafter.path={assets.EAGLE3}"]
    found, _ = result([*tiny, *words], tmp_path)
    [shape] = found["shapes"]
    assert shape["origin"] == f"{assets.TARGET} and {assets.EAGLE3}"
    assert shape["left_out"] == {}


def test_what_the_budget_does_not_allow_is_named(tiny: list[str], tmp_path: Path) -> None:
    found, page = result([*tiny, "shapes=tiny,tiny", "budget_s=0"], tmp_path)
    assert [each["left_out"] for each in found["shapes"]] == [{"load": "the budget was spent"}] * 2
    assert "Left out: load: the budget was spent" in page


def test_a_part_that_fails_does_not_end_the_others(
    tiny: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any, **__: Any) -> None:
        raise RuntimeError("CUDA out of memory\nand more")

    monkeypatch.setattr(measure, "time_verifications", broken)
    found, _ = result([*tiny, "shapes=tiny"], tmp_path)
    [shape] = found["shapes"]
    assert shape["left_out"] == {"t(m)": "CUDA out of memory"}
    assert len(shape["rounds"]) == 8


def test_random_weights_are_made_where_they_are_used() -> None:
    device = resolve_device("cpu")
    pair = random_pair("tiny", measure.resolve_dtype(measure.DType.bfloat16, device), device)
    assert {str(weight.dtype) for weight in pair.target.model.parameters()} == {"torch.bfloat16"}
    assert {str(weight.dtype) for weight in pair.drafter.head.parameters()} == {"torch.bfloat16"}
    assert pair.target.spec.aux_layers == (2, 3, 4)


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("shape=8b", "'shape=8b' is no setting"),
        ("shapes=9b", "shapes=9b is unknown; known: 8b, 7b, tiny"),
        ("budget_s=long", "'budget_s=long' should be a number"),
        ("dtype=int4", "dtype=int4 is unknown"),
        ("context=1", "context=1 must be at least 2"),
    ],
)
def test_mistakes_are_sentences(word: str, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert measure.main([word]) == 2
    assert said in capsys.readouterr().err
