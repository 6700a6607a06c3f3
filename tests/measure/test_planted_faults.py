"""Faults planted in a real run, each caught by its guard or its grade of losslessness."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest
import torch

from eagle_bench import assets
from eagle_bench.config.dataset import DatasetConfig
from eagle_bench.config.decoding import ChainConfig
from eagle_bench.config.drafter import Eagle3Config
from eagle_bench.config.measure import MeasureConfig
from eagle_bench.config.model import ModelConfig
from eagle_bench.config.run import RunConfig
from eagle_bench.config.tracker import TrackerConfig
from eagle_bench.config.values import Stop
from eagle_bench.decoding import loop
from eagle_bench.decoding.accept import accept_greedy
from eagle_bench.decoding.loop import Decoder
from eagle_bench.engines import build as arms
from eagle_bench.engines import setup
from eagle_bench.engines.session import Loader, Phase, Session, unheard
from eagle_bench.errors import RunFailure
from eagle_bench.measure import benchmark
from eagle_bench.measure.job import run_job
from eagle_bench.models.target import Step
from eagle_bench.records.rows import GenerationRow

PROMPTS = 5
NEAR = 2.0
LOADED = Loader()
Tamper = Callable[[Session], Session]


class Planted(Loader):
    """Hands out the embedded pair, tampered with."""

    def __init__(self, tamper: Tamper = lambda session: session) -> None:
        super().__init__(_kept=LOADED._kept)
        self.tamper = tamper

    def session(self, config: RunConfig, phase: Phase = unheard) -> Session:
        return self.tamper(super().session(config, phase))


class Watch:
    """Fails the run after `until` generations."""

    def __init__(self, until: int = 1 << 30) -> None:
        self.left = until

    def start(self, total: int, repeat: int) -> None:
        pass

    def advance(self, row: GenerationRow) -> None:
        self.left -= 1
        if not self.left:
            raise RuntimeError("planted")

    def say(self, line: str) -> None:
        pass

    def phase(self, what: str) -> AbstractContextManager[None]:
        return nullcontext()


class Target:
    """The session's target with other logits."""

    def __init__(self, target: Any, change: Callable[..., torch.Tensor]) -> None:
        self._target, self._change = target, change

    def __getattr__(self, name: str) -> Any:
        return getattr(self._target, name)

    def forward(self, tokens: Any, positions: Any, mask: Any, cache: Any, **options: Any) -> Step:
        step = self._target.forward(tokens, positions, mask, cache, **options)
        return step._replace(logits=self._change(step.logits, tokens, mask))


def with_logits(change: Callable[..., torch.Tensor], **spec: Any) -> Tamper:
    def tamper(session: Session) -> Session:
        target: Any = Target(session.target, change)
        target.spec = replace(session.target.spec, **spec)
        return replace(session, target=target)

    return tamper


def settings(**changes: Any) -> RunConfig:
    measure = {"preflight": False, "warmup_max": 1, "bootstrap_resamples": 500}
    measure |= changes.pop("measure", {})
    run: dict[str, Any] = {
        "model": ModelConfig("embedded"),
        "drafter": Eagle3Config("embedded"),
        "dataset": DatasetConfig("embedded"),
        "decoding": ChainConfig("chain"),
        "tracker": TrackerConfig("none"),
        "measure": MeasureConfig(**measure),
        "num_samples": PROMPTS,
        "gen_len": 12,
        "stop": Stop.length,
        "threads": 1,
    }
    return RunConfig(**run | changes)


def summary(folder: Path, tamper: Tamper | None = None, **changes: Any) -> dict[str, Any]:
    loader = Planted(tamper) if tamper else Planted()
    return dict(run_job(settings(**changes), folder, loader, Watch()).summary)


def violated(found: dict[str, Any]) -> set[str]:
    return {guard["name"] for guard in found["guards"]}


def test_an_unfaulted_run_changes_nothing(tmp_path: Path) -> None:
    found = summary(tmp_path)
    assert found["lossless"]["exact_share"] == 1.0
    quiet = {"changed_output", "unequal_counts", "loops.chain", "few_prompts", "mixed_machines"}
    assert not quiet & violated(found)
    assert found["memory"]["target_weight_bytes"] > found["memory"]["drafter_weight_bytes"] > 0


def test_an_acceptance_that_believes_the_drafter_is_a_bug(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only the speculative arm drafts, so only its output changes."""

    def believe(draft: Any, logits: torch.Tensor) -> Any:
        if draft.nodes:
            logits = logits.clone()
            logits[:, torch.arange(draft.nodes), draft.tokens] = 1e9
        return accept_greedy(draft, logits)

    monkeypatch.setattr(loop, "accept_greedy", believe)
    found = summary(tmp_path)
    assert found["lossless"]["bugs"] > 0
    assert found["lossless"]["exact_share"] < 1.0
    assert found["lossless"]["interval"][1] < 1.0
    assert "changed_output" in violated(found)


@pytest.mark.parametrize(("tie_gap", "grade"), [(NEAR, "ties"), (0.0, "bugs")])
def test_a_verification_that_rounds_coarsely_flips_near_ties(
    tmp_path: Path, tie_gap: float, grade: str
) -> None:
    """As bf16 kernels do, but coarser: only verification has a mask."""

    def flipped(logits: torch.Tensor, tokens: Any, mask: Any) -> torch.Tensor:
        if mask is None:
            return logits
        (best, second), ids = logits.topk(2).values.unbind(-1), logits.topk(2).indices
        won = torch.where(best - second < NEAR, best + 1, second)
        return logits.scatter(-1, ids[..., 1:], won[..., None])

    found = summary(tmp_path, with_logits(flipped), gen_len=24, measure={"tie_gap": tie_gap})
    lossless = found["lossless"]
    assert lossless[grade] == len(lossless["differences"]) > 0
    assert ("changed_output" in violated(found)) is (grade == "bugs")


def test_outputs_that_go_round_in_circles(tmp_path: Path) -> None:
    def circling(logits: torch.Tensor, tokens: torch.Tensor, mask: Any) -> torch.Tensor:
        after = (tokens[:, -logits.shape[1] :] + 1) % 3
        return 50.0 * torch.nn.functional.one_hot(after, logits.shape[-1]).float()

    found = summary(tmp_path / "loop", with_logits(circling), gen_len=33, num_samples=1)
    assert {"loops.baseline", "loops.chain"} <= violated(found)
    ended = with_logits(circling, eos_ids=frozenset({2}))
    found = summary(tmp_path / "eos", ended, stop=Stop.eos)
    assert {"eos_share.baseline", "eos_share.chain"} <= violated(found)
    assert found["arms"]["chain"]["intervals"]["eos_share"][0] > 0.5


def test_an_arm_that_stops_early(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    build = arms.build_speculative

    def impatient(*arguments: Any) -> Any:
        arm: Any = build(*arguments)
        arm.eos_ids = frozenset(range(0, 768, 5))
        return arm

    monkeypatch.setattr(arms, "build_speculative", impatient)
    found = summary(tmp_path)
    assert {"unequal_counts", "changed_output"} <= violated(found)
    assert found["flagged_pairs"] > 0


Sleep = Callable[[str, int, int], float]


@pytest.fixture
def sleepy(monkeypatch: pytest.MonkeyPatch) -> Callable[[Sleep], None]:
    """Make an arm's rounds longer by `sleep_s(arm, repeat, index of the block)`."""

    def plant(sleep_s: Sleep) -> None:
        now = SimpleNamespace(repeat=0, index=0)
        run = benchmark.Benchmark.run

        def noted(self: Any, block: Any, report: Any) -> None:
            now.repeat, now.index = block.repeat, block.index
            run(self, block, report)

        def lengthened(build: Callable[..., Decoder]) -> Callable[..., Decoder]:
            def built(*arguments: Any) -> Decoder:
                arm: Any = build(*arguments)
                arm.method.observe = lambda *_: time.sleep(sleep_s(arm.name, now.repeat, now.index))
                return arm  # type: ignore[no-any-return]

            return built

        monkeypatch.setattr(benchmark.Benchmark, "run", noted)
        for name in ("build_baseline", "build_speculative"):
            monkeypatch.setattr(arms, name, lengthened(getattr(arms, name)))

    return plant


def test_a_slowed_baseline(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sleepy: Callable[[Sleep], None]
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    sleepy(lambda arm, repeat, index: 0.1 if arm == "baseline" else 0.0)
    found = summary(tmp_path / "run", num_samples=1, gen_len=5, measure={"costs": True})
    assert {"slow_baseline", "far_from_roofline"} <= violated(found)
    assert found["costs"]["step_s"] < 0.1


def test_a_baseline_that_waits_for_its_host(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The embedded pair's step of many small operations, were the processor a GPU."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    capture = setup.capture
    monkeypatch.setattr(setup, "capture", lambda device: capture(device) | {"device": "cuda:0"})
    found = summary(tmp_path / "run", num_samples=1, gen_len=5, measure={"costs": True})
    assert "host_bound" in violated(found)


def test_a_machine_that_slows_down(tmp_path: Path, sleepy: Callable[[Sleep], None]) -> None:
    sleepy(lambda arm, repeat, index: repeat * (0.05 if arm == "baseline" else 0.2))
    found = summary(tmp_path, repeats=2, gen_len=9)
    assert {"drift.baseline", "drift.chain"} <= violated(found)


def test_prompts_that_disagree(tmp_path: Path, sleepy: Callable[[Sleep], None]) -> None:
    """On every other prompt the method waits, on the others the baseline."""
    waits = {"baseline": (0.0, 0.1), "chain": (0.4, 0.0)}
    sleepy(lambda arm, repeat, index: waits[arm][index % 2])
    found = summary(tmp_path, num_samples=6, gen_len=6)
    assert found["speedup"]["low"] < 1.0 < found["speedup"]["high"]
    assert "interval_crosses_one" in violated(found)
    assert found["speedup"]["prompts_needed"] is None


def test_a_noisy_hot_machine_with_too_few_cores(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The neighbours are real; clocks, cores and threads are only said to be so."""
    frequencies = iter([3000.0, 2000.0])
    monkeypatch.setattr(psutil, "cpu_freq", lambda: SimpleNamespace(current=next(frequencies)))
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {0}, raising=False)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    cores = range(psutil.cpu_count() or 1)
    busy = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in cores]
    try:
        found = run_job(settings(num_samples=2), tmp_path, Planted(), Quiet(busy))
    finally:
        kill(busy)
    expected = {"busy_machine", "throttled", "narrow_affinity", "few_prompts"}
    assert expected <= violated(dict(found.summary))


def kill(processes: list[subprocess.Popen[bytes]]) -> None:
    for process in processes:
        process.kill()
        process.wait()


class Quiet(Watch):
    """Ends the neighbours when measuring begins: the guard has seen them by then."""

    def __init__(self, neighbours: list[subprocess.Popen[bytes]]) -> None:
        super().__init__()
        self.neighbours = neighbours

    def start(self, total: int, repeat: int) -> None:
        kill(self.neighbours)


def test_rows_of_two_machines_in_one_result(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(RunFailure):
        run_job(settings(), tmp_path, Planted(), Watch(until=5))
    monkeypatch.setattr("platform.node", lambda: "elsewhere")
    found = run_job(settings(), tmp_path, Planted(), Watch()).summary
    assert "mixed_machines" in violated(dict(found))
    [guard] = [each for each in found["guards"] if each["name"] == "mixed_machines"]
    assert "elsewhere" in guard["detail"]


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (TypeError("no such argument"), "TypeError no such argument"),
        (KeyError("full_attention"), "KeyError 'full_attention'"),
        (AssertionError(), "AssertionError"),
    ],
)
def test_whatever_a_forward_raises_leaves_a_failed_result(
    tmp_path: Path, error: Exception, sentence: str
) -> None:
    def broken(*_: Any) -> torch.Tensor:
        raise error

    with pytest.raises(RunFailure, match=f"^the run failed: {sentence}") as failure:
        run_job(settings(), tmp_path, Planted(with_logits(broken)), Watch())
    assert "in broken" in failure.value.__notes__[0]
    result = json.loads((tmp_path / "result.json").read_text())
    assert (result["status"], result["reason"]) == ("failed", sentence)


def test_a_head_read_at_the_wrong_layers(tmp_path: Path) -> None:
    wrong = Eagle3Config("embedded", aux_layers=[1, 2, 3])
    found = summary(tmp_path, drafter=wrong, num_samples=2, measure={"preflight": True})
    assert "preflight" in violated(found)
    assert found["lossless"]["exact_share"] == 1.0


def test_a_context_beyond_the_head(tmp_path: Path) -> None:
    """The head's config counts fewer positions than two of the prompts and their outputs take."""
    small = shutil.copytree(assets.EAGLE3, tmp_path / "head") / "config.json"
    small.write_text(small.read_text().replace("2048", "64"))
    head = Eagle3Config("eagle3", path=str(small.parent))
    found = summary(tmp_path / "out", drafter=head)
    [detail] = [each["detail"] for each in found["guards"] if each["name"] == "beyond_head"]
    assert re.match(r"\d+ of \d+ rounds .* own 64 positions: tau \d\S* there, (tau|no)", detail)
    assert "beyond_head" not in violated(summary(tmp_path / "whole"))
