"""The embedded target and a few of its prompts."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from eagle_bench.config.dataset import DatasetConfig
from eagle_bench.config.model import ModelConfig
from eagle_bench.config.values import DType
from eagle_bench.data.chat import chat_format, opening
from eagle_bench.data.loader import load_prompts
from eagle_bench.models.load import load_target
from eagle_bench.models.target import Target
from eagle_bench.records.generation import Request


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """Tiny tensors are slower on many threads, beside other tests many times so."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def target() -> Target:
    model = ModelConfig(name="embedded")
    return load_target(model, DType.float32, torch.device("cpu"))


@pytest.fixture(scope="module")
def requests(target: Target) -> list[Request]:
    chat = chat_format(target.tokenizer, "auto", None)
    prompts = load_prompts(DatasetConfig(name="embedded"), 4, 0).prompts
    return [Request(prompt.id, chat.encode(opening(prompt)), 40) for prompt in prompts]
