"""The training command: what it leaves, resuming, and what it refuses."""

import json
import platform
from pathlib import Path
from typing import Any

import matplotlib.image
import pandas as pd
import pytest
import torch
from conftest import BUDGET, HEAD, TARGET, call, steps
from transformers import AutoModelForCausalLM, AutoTokenizer

from eagle_bench import train
from eagle_bench.config.drafter import DFlashConfig, Eagle3Config, PEagleConfig
from eagle_bench.drafters.heads.dflash import load_dflash
from eagle_bench.drafters.heads.load import load_head
from eagle_bench.models.target import default_aux_layers
from eagle_bench.training.loop import Trainer


def recipe(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "recipe.json").read_text())
    return found


def trained(folder: Path) -> dict[str, torch.Tensor]:
    """The optimiser's own float32 weights at the end."""
    state: dict[str, torch.Tensor] = torch.load(folder / "checkpoint.pt")["module"]
    return state


@pytest.fixture
def no_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave out what takes longer than a tiny training."""
    monkeypatch.setattr("eagle_bench.training.train.write_curves", lambda *given: None)


def test_target_loads_as_an_ordinary_folder(target_folder: Path) -> None:
    model = AutoModelForCausalLM.from_pretrained(target_folder)
    tokenizer = AutoTokenizer.from_pretrained(target_folder)
    for name, weight in trained(target_folder).items():
        assert torch.equal(model.state_dict()[name], weight.bfloat16())
    chat = [{"role": "user", "content": "Hi 12"}]
    ids = tokenizer.apply_chat_template(chat, add_generation_prompt=True, return_dict=False)
    assert tokenizer.decode(ids) == "<|user|>Hi 12<|end|><|assistant|>"
    assert tokenizer.eos_token_id == model.config.eos_token_id == tokenizer.encode("<|end|>")[0]


def test_head_loads_as_an_ordinary_folder(head_folder: Path) -> None:
    loaded = load_head(Eagle3Config("eagle3", str(head_folder)))
    weights = loaded.head.state_dict()
    for name, weight in trained(head_folder).items():
        assert torch.equal(weights[name], weight.to(weights[name].dtype))
    assert loaded.report.missing == loaded.report.unexpected == []
    assert loaded.config.draft_vocab_size == 150
    early = load_head(Eagle3Config("eagle3", str(head_folder / "step_2"))).head.fc.weight
    assert not torch.allclose(early.float(), loaded.head.fc.weight.float(), atol=1e-3)


def test_target_learns(target_folder: Path) -> None:
    history = pd.read_csv(target_folder / "history.csv")
    assert history["step"].tolist() == list(range(60))
    assert history["loss"].tail(5).mean() < history["loss"].head(5).mean() - 1.2
    assert history["answer_accuracy"].tail(5).mean() > 0.1


def test_head_learns(head_folder: Path) -> None:
    history = pd.read_csv(head_folder / "history.csv")
    assert history["loss"].tail(5).mean() < history["loss"].head(2).mean() - 1.5
    assert {name for name in history if name.startswith("accuracy")} == {
        f"accuracy_{position}" for position in range(3)
    }


@pytest.mark.usefixtures("no_picture")
def test_a_p_eagle_head_learns_its_slots(target_folder: Path, tmp_path: Path) -> None:
    given = [*HEAD[1:], *BUDGET, f"training.target={target_folder}", f"output_dir={tmp_path}"]
    assert call(train.main, "training=p_eagle", *given, steps(4)) == 0
    loaded = load_head(PEagleConfig("p_eagle", str(tmp_path)))
    assert loaded.config.num_layers == 2
    mask = AutoTokenizer.from_pretrained(target_folder).convert_tokens_to_ids("<|pad|>")
    assert loaded.config.mask_token == mask
    weights = loaded.head.state_dict()
    for name, weight in trained(tmp_path).items():
        assert torch.equal(weights[name], weight.to(weights[name].dtype))
    assert call(train.main, "training=p_eagle", *given, "training.layout=safeailab") == 2
    assert call(train.main, "training=p_eagle", *given, "training.data=self") == 2


@pytest.mark.usefixtures("no_picture")
def test_a_dflash_head_learns_its_block(target_folder: Path, tmp_path: Path) -> None:
    shape = ["training.intermediate_size=64", "training.block_size=4", "training.blocks=100"]
    given = [*shape, *BUDGET, f"training.target={target_folder}", f"output_dir={tmp_path}"]
    rate = "training.learning_rate=5e-3"
    assert call(train.main, "training=dflash", *given, rate, steps(12)) == 0
    head = load_dflash(DFlashConfig("dflash", str(tmp_path)))
    assert head.config.levels == 3
    mask = AutoTokenizer.from_pretrained(target_folder).convert_tokens_to_ids("<|pad|>")
    assert head.config.mask_token == mask
    assert head.config.aux_layers == default_aux_layers(7)
    for name, weight in trained(tmp_path).items():
        assert torch.equal(head.state_dict()[name], weight.bfloat16())
    history = pd.read_json(tmp_path / "history.jsonl", lines=True)
    assert history["loss"].iloc[-1] < history["loss"].iloc[0] - 1
    assert {"accuracy_0", "accuracy_2"} <= set(history)
    assert call(train.main, "training=dflash", *given, "training.block_size=1") == 2


def test_curves(target_folder: Path, head_folder: Path) -> None:
    for folder in (target_folder, head_folder):
        pixels = matplotlib.image.imread(folder / "curves.png")[..., :3].reshape(-1, 3)
        assert 0.02 < (pixels < 0.95).any(1).mean() < 0.5
    assert "copy_accuracy" not in pd.read_csv(target_folder / "history.csv")


def test_recipe(target_folder: Path, head_folder: Path) -> None:
    for folder, count in ((target_folder, 60), (head_folder, 25)):
        found = recipe(folder)
        assert found["status"] == "complete"
        assert found["steps"] == count
        assert found["tokens"] == count * 256
        assert found["tokens_per_s"] == pytest.approx(found["tokens"] / found["seconds"], rel=0.1)
        history = pd.read_csv(folder / "history.csv")
        assert found["final"]["loss"] == pytest.approx(history["loss"].tail(5).mean(), abs=1e-4)
        stored = (folder / "model.safetensors").stat().st_size
        assert 0.8 * stored < found["weight_bytes"] <= stored
        assert found["versions"]["torch"] == torch.__version__
        assert found["threads"] == 1
        text = (folder / "recipe.json").read_text()
        assert str(folder.parent) not in text
        assert platform.node() not in text
    assert recipe(head_folder)["config"]["training"]["target"] == target_folder.name
    assert recipe(head_folder)["sources"]["target"]["model.safetensors"]


def test_parameters_by_hand(target_folder: Path) -> None:
    attention = 32 * 32 + 2 * 32 * 16 + 32 * 32
    layer = attention + 3 * 32 * 64 + 2 * 32
    assert recipe(target_folder)["parameters"] == 300 * 32 + 7 * layer + 32


def test_target_writes_its_prompts(target_folder: Path) -> None:
    rows = [json.loads(line) for line in (target_folder / "prompts.jsonl").open()]
    assert len(rows) == 80
    assert all(len(row["turns"]) == len(row["reference"]) for row in rows)


@pytest.mark.usefixtures("no_picture")
@pytest.mark.parametrize("kind", ["target", "eagle3"])
def test_resumes_to_the_same_bits(
    kind: str, target_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = TARGET if kind == "target" else [*HEAD, f"training.target={target_folder}"]
    given = [*own, *BUDGET, steps(4), "training.save_every=2"]
    straight, broken = tmp_path / "straight", tmp_path / "broken"
    assert call(train.main, *given, f"output_dir={straight}") == 0
    save = Trainer._save

    def dies_after(self: Trainer, step: int) -> None:
        save(self, step)
        raise KeyboardInterrupt

    monkeypatch.setattr(Trainer, "_save", dies_after)
    assert call(train.main, *given, f"output_dir={broken}") == 130
    assert recipe(broken)["status"] == "running"
    assert not (broken / "model.safetensors").exists()
    assert torch.load(broken / "checkpoint.pt")["step"] == 2

    monkeypatch.setattr(Trainer, "_save", save)
    assert call(train.main, *given, f"output_dir={broken}") == 0
    weights = "model.safetensors"
    assert (broken / weights).read_bytes() == (straight / weights).read_bytes()
    one, other = trained(broken), trained(straight)
    assert all(torch.equal(one[name], other[name]) for name in one)
    logged = [json.loads(line)["step"] for line in (broken / "history.jsonl").open()]
    assert logged == list(range(4))


@pytest.mark.usefixtures("no_picture")
def test_another_trainings_folder_is_not_continued(
    target_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = [*TARGET, *BUDGET, steps(1), f"output_dir={tmp_path}"]
    assert call(train.main, *given) == 0
    assert call(train.main, *given, "training.log_every=5", "threads=2") == 0
    capsys.readouterr()
    assert call(train.main, *given, "training.prompt_weight=0.5") == 2
    said = capsys.readouterr().err
    assert "training.prompt_weight=0.25, not 0.5" in said
    assert "resume=false" in said
    assert call(train.main, *given, "training.prompt_weight=0.5", "resume=false") == 0
    assert recipe(tmp_path)["config"]["training"]["prompt_weight"] == 0.5


def test_goes_on_from_a_target(target_folder: Path, tmp_path: Path) -> None:
    given = [f"training.init={target_folder}", "training.copy_share=0.5", steps(2)]
    assert call(train.main, *TARGET, *BUDGET, *given, f"output_dir={tmp_path}") == 0
    first = pd.read_csv(tmp_path / "history.csv")["answer_loss"].iloc[0]
    assert first < pd.read_csv(target_folder / "history.csv")["answer_loss"].iloc[0] - 1
    assert recipe(tmp_path)["config"]["training"]["init"] == target_folder.name


@pytest.mark.usefixtures("no_picture")
def test_jobs_of_a_sweep_have_their_own_folders(tmp_path: Path) -> None:
    given = ["-m", *TARGET, *BUDGET, steps(1), f"output_dir={tmp_path}", "seed=1,2"]
    assert call(train.main, *given) == 0
    assert [recipe(tmp_path / job)["config"]["seed"] for job in "01"] == [1, 2]
    assert not (tmp_path / "recipe.json").exists()


REFUSED = {
    "training.target=nowhere": "training.target=nowhere is not a target's folder",
    "training.draft_vocab_size=301": "larger than the target's vocabulary of 300",
    "training.num_heads=3": "num_heads=3 with num_kv_heads=2",
    "training.phases=[{seq_len: 300, share: 1}]": "seq_len=300 is beyond the target's 256",
    "training.layout=eagle1": "training.layout=eagle1 is not known",
    "training.ttt_length=64": "seq_len=64 must be at least 65",
    "training.snapshots=[0]": "shares in (0, 1]",
    "device=tpu": "device=tpu is not usable here",
    "threads=0": "threads=0 must be at least 1",
}


@pytest.mark.parametrize("override", REFUSED)
def test_refuses_a_head_that_cannot_be(
    override: str, target_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = [*HEAD, *BUDGET, f"training.target={target_folder}", f"output_dir={tmp_path}"]
    assert call(train.main, *given, override) == 2
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 1
    assert said[0].startswith("eagle_bench: ")
    assert REFUSED[override] in said[0]
    assert not (tmp_path / "checkpoint.pt").exists()


@pytest.mark.parametrize(
    ("override", "reason"),
    [
        ("training.num_layers=6", "num_layers=6 must be at least 7"),
        ("training.vocab_size=100", "vocab_size=100 must be at least 260"),
        ("training.hidden_size=36", "does not fit a hidden size of 36"),
        ("training.init=nowhere", "training.init=nowhere is not a target's folder"),
        ("training.copy_share=1", "copy_share=1.0 must lie in"),
        ("training.phases=[]", "add up to 0"),
        ("training.betas=[0.9]", "betas=[0.9] must be two numbers"),
        ("training.save_every=0", "save_every=0 must be at least 1"),
    ],
)
def test_refuses_a_target_that_cannot_be(
    override: str, reason: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(train.main, *TARGET, *BUDGET, f"output_dir={tmp_path}", override) == 2
    assert reason in capsys.readouterr().err


def test_a_shallow_or_foreign_target_is_refused(
    target_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copy = tmp_path / "copy"
    copy.mkdir()
    for name in ("config.json", "tokenizer.json", "tokenizer_config.json"):
        (copy / name).write_text((target_folder / name).read_text())
    given = [*HEAD, *BUDGET, f"training.target={copy}", f"output_dir={tmp_path / 'out'}"]
    foreign = (copy / "tokenizer.json").read_text().replace("<|assistant|>", "<|bot|>")
    (copy / "tokenizer.json").write_text(foreign)
    settings = json.loads((copy / "tokenizer_config.json").read_text())
    settings.pop("extra_special_tokens", None)
    settings.pop("additional_special_tokens", None)
    (copy / "tokenizer_config.json").write_text(json.dumps(settings))
    assert call(train.main, *given) == 2
    assert "its tokenizer lacks <|assistant|>" in capsys.readouterr().err
    shallow = json.loads((copy / "config.json").read_text()) | {"num_hidden_layers": 4}
    (copy / "config.json").write_text(json.dumps(shallow))
    assert call(train.main, *given) == 2
    assert "has 4 layers; EAGLE-3 needs at least 7" in capsys.readouterr().err
    (copy / "config.json").write_text("{")
    assert call(train.main, *given) == 2
    assert "cannot be read as a target" in capsys.readouterr().err
