"""The inspector's table and JSON say what the head is and whether it fits."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from head_maker import HIDDEN, VOCAB, tiny
from transformers import LlamaConfig

from eagle_bench import assets
from eagle_bench.inspect import main


def model(folder: Path, **changes: int) -> str:
    sizes = {"hidden_size": HIDDEN, "vocab_size": VOCAB, "num_hidden_layers": 12} | changes
    LlamaConfig(num_attention_heads=4, num_key_value_heads=2, **sizes).save_pretrained(folder)
    return str(folder)


def test_the_json_is_the_whole_report(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = tiny(mla=True, norm_before_residual=True)
    head = made.write(tmp_path / "head")
    code = main([f"drafter.path={head}", f"model.path={model(tmp_path / 'model')}", "--json"])
    said = json.loads(capsys.readouterr().out)
    assert code == 0
    assert said["format"] == "safeailab"
    assert said["attention"] == "MLA"
    assert said["aux_layers"] == [2, 6, 9]
    assert said["coverage"] == pytest.approx(24 / 60)
    assert said["reading"]["norm_before_residual"]["value"]
    assert said["fits"] is True
    assert said["parameters"] == sum(
        t.numel() for n, t in made.weights.items() if n not in ("d2t", "t2d")
    )


def test_the_table_names_everything(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = tiny(mla=True)
    made.weights["stray.weight"] = made.weights["norm.weight"]
    assert main([f"drafter.path={made.write(tmp_path)}"]) == 0
    out = capsys.readouterr().out
    for part in ("SafeAILab EAGLE-3 head", "24 of 60", "latent 10", "44 bytes", "stray.weight"):
        assert part in out


def test_a_target_without_a_chat_template_is_asked_on_plain_text(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = shutil.copytree(assets.TARGET, tmp_path / "target")
    (target / "chat_template.jinja").unlink()
    assert main([f"drafter.path={assets.EAGLE3}", f"model.path={target}", "--json"]) == 0
    asked = json.loads(capsys.readouterr().out)["preflight"]
    assert asked["verdict"] != "not asked", asked


def test_a_misfit_is_shown_beside_the_head(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    head = tiny().write(tmp_path / "head")
    target = model(tmp_path / "model", hidden_size=64)
    assert main([f"drafter.path={head}", f"model.path={target}", "--json"]) == 2
    said = json.loads(capsys.readouterr().out)
    assert said["fits"] is False
    assert "width 64" in said["misfit"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "drafter.path=DIR"),
        (["drafter.pth=x"], "no setting"),
        (["drafter.path=x", "drafter.aux_layers=2"], "should be a list"),
        (["drafter.path=/nowhere/at/all"], "does not exist"),
    ],
)
def test_mistakes_end_with_2(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    assert message in capsys.readouterr().err
