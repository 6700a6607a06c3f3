"""Faults planted in the embedded head are found, and the fix that is named heals them."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from eagle_bench import assets
from eagle_bench.config.dataset import DatasetConfig
from eagle_bench.config.drafter import Eagle3Config
from eagle_bench.config.model import ModelConfig
from eagle_bench.config.values import DType
from eagle_bench.data.chat import chat_format, opening
from eagle_bench.data.loader import load_prompts
from eagle_bench.drafters.build import load_eagle_head
from eagle_bench.errors import UserError
from eagle_bench.inspect import inspect, parse
from eagle_bench.measure.probe.ask import questions
from eagle_bench.measure.probe.preflight import Preflight, preflight
from eagle_bench.models.load import load_target
from eagle_bench.models.target import Step, Target

WEIGHTS = "model.safetensors"


@pytest.fixture(scope="module")
def target() -> Target:
    model = ModelConfig(name="embedded")
    return load_target(model, DType.float32, torch.device("cpu"))


@pytest.fixture(scope="module")
def prompts(target: Target) -> list[list[int]]:
    return questions(target)


def ask(target: Target, prompts: list[list[int]], **settings: Any) -> Preflight:
    """The pre-flight of the embedded head, or of `path`, with settings of the drafter."""
    head = load_eagle_head(Eagle3Config(name="embedded", **settings), target).head
    return preflight(head, target, prompts)


def relabelled(folder: Path, **changes: object) -> Path:
    """A copy of the embedded head whose config.json says something else."""
    shutil.copytree(assets.EAGLE3, folder)
    file = folder / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))
    return folder


@pytest.fixture(scope="module")
def healthy(target: Target, prompts: list[list[int]]) -> Preflight:
    return ask(target, prompts)


def test_the_embedded_head_is_read_as_it_was_trained(healthy: Preflight) -> None:
    assert healthy.verdict == "fits", healthy.sentence
    assert healthy.accuracy > 0.6 > 3 * healthy.chance
    assert healthy.tokens > 200
    assert len(healthy.by_step) == 3
    assert min(other.loss for other in healthy.tried) > healthy.loss


def test_strange_prompts_accuse_nobody(target: Target) -> None:
    """Prompts of another kind than the head's training, of which it knows a quarter."""
    chat = chat_format(target.tokenizer, "auto", None)
    file = DatasetConfig("six_groups")
    strange = [chat.encode(opening(each)) for each in load_prompts(file, 24, 0).prompts]
    found = ask(target, sorted(strange, key=len)[:8])
    assert found.verdict == "fits", found.sentence
    assert found.accuracy < 0.5


FAULTS = {
    "aux layers one too low": ({"aux_layers": [1, 9, 16]}, "drafter.aux_layers=[2,10,17]"),
    "aux layers one too high": ({"aux_layers": [3, 11, 18]}, "drafter.aux_layers=[2,10,17]"),
    "norm_before_residual": (
        {"norm_before_residual": True},
        "drafter.norm_before_residual=false",
    ),
    "norm_output": ({"norm_output": True}, "drafter.norm_output=false"),
    "RoPE base": ({"rope_theta": 1e6}, "drafter.rope_theta=10000"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_fault_is_found_and_its_fix_named(
    fault: str, target: Target, prompts: list[list[int]], healthy: Preflight
) -> None:
    settings, fix = FAULTS[fault]
    found = ask(target, prompts, **settings)
    assert found.verdict == "misread", found.sentence
    assert found.sentence.endswith(f"set {fix}."), found.sentence
    assert found.loss > healthy.loss
    assert f"(loss {healthy.loss:.2f})" in found.sentence


def test_an_invented_rope_scaling(target: Target, prompts: list[list[int]], tmp_path: Path) -> None:
    folder = relabelled(tmp_path / "head", rope_scaling={"rope_type": "linear", "factor": 4.0})
    found = ask(target, prompts, path=str(folder))
    assert found.verdict == "misread"
    assert "no RoPE scaling" in found.sentence


def test_prompts_that_fill_the_positions_are_not_asked(target: Target) -> None:
    found = ask(target, [[5] * (target.spec.max_positions - 2)])
    assert (found.verdict, found.tokens) == ("not asked", 0)


def test_one_prompt_proves_no_other_reading(target: Target, prompts: list[list[int]]) -> None:
    found = ask(target, prompts[:1], norm_output=True)
    assert (found.verdict, found.tried) == ("not asked", [])
    assert "one prompt cannot show" in found.sentence


def test_two_faults_at_once(target: Target, prompts: list[list[int]]) -> None:
    found = ask(target, prompts, aux_layers=[3, 11, 18], rope_theta=1e6)
    assert "drafter.rope_theta=10000" in found.sentence
    assert "drafter.aux_layers=[2,10,17]" in found.sentence


def test_a_dropped_vocabulary_map(target: Target, prompts: list[list[int]], tmp_path: Path) -> None:
    folder = relabelled(tmp_path / "head")
    tensors = load_file(folder / WEIGHTS)
    mapping = {name: tensors.pop(name) for name in ("d2t", "t2d")}
    save_file(tensors | {"d2t": torch.zeros_like(mapping["d2t"])}, folder / WEIGHTS)
    torch.save(mapping, tmp_path / "mapping.pt")
    found = ask(target, prompts, path=str(folder))
    assert found.verdict == "unmapped", found.sentence
    assert "drafter.vocab_mapping=FILE.pt" in found.sentence
    mended = ask(target, prompts, path=str(folder), vocab_mapping=str(tmp_path / "mapping.pt"))
    assert mended.verdict == "fits"


def test_a_head_that_knows_nothing(target: Target, prompts: list[list[int]]) -> None:
    head = load_eagle_head(Eagle3Config(name="embedded"), target).head
    torch.manual_seed(0)
    for weight in head.parameters():
        torch.nn.init.normal_(weight, std=0.05)
    found = preflight(head, target, prompts)
    assert found.verdict == "chance"
    assert "set drafter" not in found.sentence


def test_a_head_whose_logits_are_no_numbers_ends_it(
    target: Target, prompts: list[list[int]]
) -> None:
    head = load_eagle_head(Eagle3Config(name="embedded"), target).head
    assert head.lm_head is not None
    head.lm_head.weight.data[3, 5] = torch.inf
    said = (
        r"head's logits are not finite in the pre-flight \(dtype=float32\), first on its prompt 0"
    )
    with pytest.raises(UserError, match=said):
        preflight(head, target, prompts)


def test_a_target_whose_logits_are_no_numbers_ends_it(
    target: Target, prompts: list[list[int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Behind a prompt, or later in what the target makes of it."""
    head = load_eagle_head(Eagle3Config(name="embedded"), target).head
    forward = target.forward
    behind = len(prompts[0]) + 1

    def broken(tokens: Tensor, *given: Any, **options: Any) -> Step:
        step = forward(tokens, *given, **options)
        return step._replace(
            logits=step.logits * torch.nan if tokens.shape[1] >= behind else step.logits
        )

    monkeypatch.setattr(target, "forward", broken)
    for place, of in ((len(prompts[0]), len(prompts[0])), (behind, behind + 47)):
        behind = place
        said = (
            rf"arm pre-flight \(dtype=float32\), first behind token {place} of {of} of the prompt 0"
        )
        with pytest.raises(UserError, match=said):
            preflight(head, target, prompts[:1])


def test_inspect_says_what_the_preflight_found(tmp_path: Path) -> None:
    folder = relabelled(tmp_path / "head", rope_theta=1e6, rope_parameters=None)
    words = [f"drafter.path={folder}", f"model.path={assets.TARGET}"]
    asked = inspect(parse(words))["preflight"]
    assert asked["verdict"] == "misread"
    assert asked["sentence"].endswith("set drafter.rope_theta=10000.")
    assert inspect(parse([*words, "drafter.rope_theta=1e4"]))["preflight"]["verdict"] == "fits"
    assert inspect(parse([*words, "preflight=false"]))["preflight"] is None
    with pytest.raises(UserError, match="should be a float"):
        parse([*words, "drafter.rope_theta=high"])
