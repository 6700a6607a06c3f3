"""Whatever is typed: a setting that cannot be is refused before anything loads, in a sentence."""

from __future__ import annotations

import string
import tempfile
from collections.abc import Callable
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from eagle_bench.config.dataset import DatasetConfig
from eagle_bench.config.decoding import ChainConfig
from eagle_bench.config.drafter import PromptLookupConfig
from eagle_bench.config.model import ModelConfig
from eagle_bench.config.run import RunConfig
from eagle_bench.config.tracker import MODES, TrackerConfig
from eagle_bench.config.values import MOST_RESAMPLES, MOST_SEED
from eagle_bench.data.prompt import Prompt, PromptSet
from eagle_bench.engines import setup
from eagle_bench.errors import UserError, printable
from eagle_bench.launch.folders import named
from eagle_bench.records.store import RunFolder
from eagle_bench.results.report.template import fill
from eagle_bench.results.tables.table import Row, Table

DEVICES = st.sampled_from(["auto", "cpu", "mps", "cuda", "xpu"]) | st.from_regex(
    r"(cuda|xpu):[0-9]+", fullmatch=True
)


def run_config(**changes: Any) -> RunConfig:
    return RunConfig(
        model=ModelConfig(name="embedded"),
        drafter=PromptLookupConfig(name="prompt_lookup"),
        dataset=DatasetConfig(name="embedded"),
        decoding=ChainConfig(name="chain"),
        tracker=TrackerConfig(name="none"),
        **changes,
    )


def refused(make: Callable[[], object], *named: str) -> None:
    with pytest.raises(UserError) as told:
        make()
    sentence = str(told.value)
    assert len(sentence.splitlines()) == 1
    assert all(name in sentence for name in named), sentence


@given(seed=st.integers())
def test_a_seed_is_taken_by_every_generator_or_refused(seed: int) -> None:
    if 0 <= seed <= MOST_SEED:
        assert run_config(seed=seed).seed == seed
    else:
        refused(lambda: run_config(seed=seed), f"seed={seed}")


@given(device=DEVICES)
def test_devices_that_torch_may_know_are_taken(device: str) -> None:
    assert run_config(device=device).device == device


@given(device=st.text(string.ascii_letters + string.digits + ":. ", max_size=8))
def test_any_other_device_is_refused(device: str) -> None:
    assume(not device.startswith(("auto", "cpu", "mps", "cuda", "xpu")))
    refused(lambda: run_config(device=device), "use auto, cpu")


@given(mode=st.text(string.ascii_letters + string.punctuation + " ", max_size=12))
def test_a_tracker_has_one_of_three_modes(mode: str) -> None:
    assume(mode not in MODES)
    refused(lambda: TrackerConfig(name="wandb", mode=mode), "tracker.mode=", "offline")


@given(blank=st.text(" \t", max_size=5))
def test_a_blank_output_folder_is_refused(blank: str) -> None:
    refused(lambda: named(blank), "output_dir is empty")


@given(resamples=st.integers(max_value=99) | st.integers(min_value=MOST_RESAMPLES + 1))
def test_resamples_that_are_too_few_or_fit_no_memory_are_refused(resamples: int) -> None:
    from eagle_bench.config.measure import MeasureConfig

    refused(lambda: MeasureConfig(bootstrap_resamples=resamples), f"={resamples} must lie in")


@given(
    batch_size=st.integers(min_value=1, max_value=10**9),
    prompts=st.integers(min_value=1, max_value=20),
    depth=st.integers(min_value=1, max_value=300),
    positions=st.integers(min_value=1, max_value=200),
)
def test_a_batch_is_capped_at_the_prompts_and_a_draft_fits_the_positions(
    batch_size: int, prompts: int, depth: int, positions: int
) -> None:
    config = run_config(batch_size=batch_size)
    config.decoding = ChainConfig(name="chain", draft_len=depth)
    some = tuple(Prompt(str(index), "c", ("Hi",)) for index in range(prompts))
    spec = SimpleNamespace(max_positions=positions)
    session = SimpleNamespace(
        target=SimpleNamespace(spec=spec),
        drafter=SimpleNamespace(report={}),
        remarks=(),
        rooms=lambda: {"target": positions},
    )
    loader: Any = SimpleNamespace(session=lambda config, phase: session)
    listener: Any = SimpleNamespace(say=lambda line: None, phase=nullcontext)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(setup, "_provenance", lambda *_: {})
        patch.setattr(setup, "fitting", lambda prompts, session, config: prompts)
        prepared = partial(setup.prepare, config, PromptSet("p", some, "", {}), loader, listener)
        if depth > positions:
            refused(prepared, f"decoding.draft_len={depth}", str(positions))
        else:
            assert prepared().config.batch_size == min(batch_size, prompts)


@given(
    name=st.text(string.ascii_letters, min_size=1, max_size=400),
    below_a_file=st.booleans(),
    levels=st.integers(min_value=1, max_value=40),
)
def test_a_folder_is_made_or_refused_in_a_sentence(
    name: str, below_a_file: bool, levels: int
) -> None:
    with tempfile.TemporaryDirectory() as root:
        (Path(root) / "0").touch()
        folder = Path(root, *(["0"] if below_a_file else []), *[name] * levels)
        assume(not 4000 < len(str(folder)) < 4096)  # Its files' paths may be too long.
        if below_a_file or len(name) > 255 or len(str(folder)) > 4095:
            refused(lambda: RunFolder(folder), "Cannot make output folder")
        else:
            RunFolder(folder).close()
            assert folder.is_dir()


@given(text=st.text(max_size=30))
def test_no_control_character_reaches_terminal_table_or_report(text: str) -> None:
    shown = printable(text)
    assert len(shown) == len(text)
    assert not [each for each in shown if ord(each) < 32 and each not in "\n\t"]
    assert not [each for each in shown if 127 <= ord(each) < 160]
    [row] = Table("t", ("c",), (Row((text,)),), notes=(text,)).rows
    assert row.cells == (shown,)


def test_a_page_shows_no_control_character(tmp_path: Path) -> None:
    from eagle_bench.results.report import template

    (tmp_path / "page.jinja").write_text("{{ text }}|{{ 3 }}")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(template, "HERE", tmp_path)
        (tmp_path / "report.css").touch()
        assert fill("page.jinja", text="a\x1b[31m<b>\x00") == "a\ufffd[31m&lt;b&gt;\ufffd|3"
