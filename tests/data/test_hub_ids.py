"""What looks like OWNER/NAME: a target, a head or a dataset that may stand on the hub."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import httpx
import huggingface_hub.constants
import pytest
from huggingface_hub import HfApi
from huggingface_hub.errors import HfHubHTTPError

from eagle_bench.config.dataset import DatasetConfig
from eagle_bench.config.model import ModelConfig
from eagle_bench.config.values import DType
from eagle_bench.data.loader import load_prompts
from eagle_bench.drafters.heads.folder import locate
from eagle_bench.errors import UserError
from eagle_bench.machine import hub
from eagle_bench.models.load import load_target, resolve_device


def target(name: str) -> None:
    load_target(ModelConfig(name="local", path=name), DType.float32, resolve_device("cpu"))


def head(name: str) -> None:
    locate(name)


def dataset(name: str) -> None:
    load_prompts(DatasetConfig(name="jsonl", hub=name), 1, 0)


EACH = pytest.mark.parametrize("read", [target, head, dataset])


@pytest.fixture(autouse=True)
def online(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty cache, and a hub that nothing asks but `check_there`."""
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    monkeypatch.chdir(tmp_path)


def refused(read: Callable[[str], None], why: str) -> str:
    with pytest.raises(UserError, match=why) as told:
        read("outputs/heda")
    assert "outputs/heda" in str(told.value)
    return str(told.value)


@EACH
def test_offline(read: Callable[[str], None], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    refused(read, r"neither cached on this machine nor reachable \(HF_HUB_OFFLINE is set\)")


@EACH
def test_without_a_network(read: Callable[[str], None], monkeypatch: pytest.MonkeyPatch) -> None:
    def unplugged(*_: object, **__: object) -> None:
        raise OSError("Network is unreachable")

    monkeypatch.setattr(HfApi, "repo_info", unplugged)
    refused(read, r"neither cached on this machine nor reachable \(no network\)")


@EACH
def test_a_hub_that_never_answers(
    read: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(HfApi, "repo_info", lambda *_, **__: time.sleep(30))
    monkeypatch.setattr(hub, "WAIT_S", 0.1)
    began = time.perf_counter()
    refused(read, r"nor reachable \(no answer for 0.1 seconds\)")
    assert time.perf_counter() - began < 5


@EACH
def test_a_hub_that_refuses(read: Callable[[str], None], monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: object, **__: object) -> None:
        answer = httpx.Response(404, request=httpx.Request("GET", "http://hub"))
        raise HfHubHTTPError("not found", response=answer)

    monkeypatch.setattr(HfApi, "repo_info", unknown)
    refused(read, r"is not cached, and the hub refuses it \(HTTP 404\)")


@pytest.mark.parametrize("read", [target, head])
def test_a_mistyped_folder_is_suspected(
    read: Callable[[str], None], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    for name in ("head", "other"):
        (tmp_path / "outputs" / name).mkdir(parents=True)
    refused(read, r"outputs/heda is no folder here \(outputs has head, other\)")


@pytest.mark.parametrize("read", [target, head])
def test_a_path_that_is_no_hub_id(read: Callable[[str], None], tmp_path: Path) -> None:
    (tmp_path / "outputs" / "head").mkdir(parents=True)
    with pytest.raises(UserError, match=r"heda does not exist \(.*outputs has head\)"):
        read(f"{tmp_path}/outputs/heda")
