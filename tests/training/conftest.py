"""Small trainings through the real command, and a small tokenizer."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from tokenizers import Tokenizer

from eagle_bench import train
from eagle_bench.training.tokenizer import train_tokenizer

BUDGET = [
    "training.batch_tokens=256",
    "training.micro_tokens=256",
    "training.phases=[{seq_len: 64, share: 0.5}, {seq_len: 128, share: 0.5}]",
    "training.log_every=1",
    "training.warmup_share=0.1",
    "device=cpu",
    "threads=1",
]
TARGET = [
    "training=target",
    "training.init=null",
    "training.num_layers=7",
    "training.hidden_size=32",
    "training.intermediate_size=64",
    "training.vocab_size=300",
    "training.max_positions=256",
    "training.copy_circuit=false",
    "training.copy_share=0",
    "training.learning_rate=5e-3",
]
HEAD = [
    "training=eagle3",
    "training.intermediate_size=64",
    "training.draft_vocab_size=150",
    "training.ttt_length=3",
    "training.learning_rate=5e-3",
]

Run = Callable[..., int]


def steps(count: int) -> str:
    """The override for a budget of so many optimiser steps."""
    return f"training.tokens={count * 256}"


def call(main: Callable[[], None], *arguments: object) -> int:
    """The exit code of a console command called with these arguments."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HYDRA_FULL_ERROR", "0")
        patch.setattr(sys, "argv", ["train", *map(str, arguments)])
        try:
            main()
        except SystemExit as end:
            return int(str(end.code))
    return 0


@pytest.fixture(scope="session")
def quick_tokenizer() -> Tokenizer:
    return train_tokenizer(300, seed=0, samples=60)


@pytest.fixture(autouse=True, scope="session")
def few_samples() -> object:
    """Tokenizers and draft vocabularies from few conversations, so that tests are fast."""
    from eagle_bench.training import eagle3, target

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(target, "train_tokenizer", lambda size, seed: train_tokenizer(size, seed, 60))
        whole = eagle3.draft_vocabulary
        patch.setattr(eagle3, "draft_vocabulary", lambda *given: whole(*given, samples=60))
        yield


@pytest.fixture(scope="session")
def target_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A target of 7 layers, trained for a few dozen steps."""
    folder = tmp_path_factory.mktemp("target")
    assert call(train.main, *TARGET, *BUDGET, steps(60), f"output_dir={folder}") == 0
    return folder


@pytest.fixture(scope="session")
def head_folder(tmp_path_factory: pytest.TempPathFactory, target_folder: Path) -> Path:
    """A head for it."""
    folder = tmp_path_factory.mktemp("head")
    given = [f"training.target={target_folder}", "training.snapshots=[0.1]", steps(25)]
    assert call(train.main, *HEAD, *BUDGET, *given, f"output_dir={folder}") == 0
    return folder
