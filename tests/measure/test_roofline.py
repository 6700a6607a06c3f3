"""What a step must read, the device's speed, and the memory of it."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from eagle_bench.measure.cost import device_speed as speeds
from eagle_bench.measure.cost.device_speed import (
    DeviceSpeed,
    cache_file,
    device_speed,
    measure_speed,
)
from eagle_bench.measure.cost.roofline import Roofline, StepWork, card, step_work
from tests.measure.timed_world import (
    CPU,
    EXPERTS,
    PASSED,
    VOCAB,
    WIDTH,
    Clock,
    TimedTarget,
    Weights,
)

TABLE, LAYER = VOCAB * WIDTH, WIDTH * WIDTH


def work_of(**kind: object) -> StepWork:
    return step_work(TimedTarget(Clock(), Weights(**kind)))  # type: ignore[arg-type]


def test_an_embedding_table_counts_only_where_it_is_multiplied() -> None:
    for tied in (False, True):
        work = work_of(tied=tied)
        assert work.dense_parameters == TABLE + LAYER
        assert work.read_bytes(1, 0) == 4 * (TABLE + LAYER)
        assert work.read_bytes(5, 10) == work.read_bytes(1, 0) + 10 * 2 * 2 * 4


def test_experts_are_read_as_tokens_come_to_them() -> None:
    work = work_of(experts=EXPERTS)
    dense = 4 * (TABLE + LAYER)
    assert work.read_bytes(1, 0) == dense + 4 * PASSED * LAYER
    assert work.read_bytes(2, 0) == dense + 4 * LAYER * EXPERTS * (1 - 0.5**2)
    assert work.read_bytes(64, 0) == pytest.approx(dense + 4 * EXPERTS * LAYER)
    assert work.flop(3) == 3 * 2 * (TABLE + LAYER + PASSED * LAYER)


def test_a_floor_is_reading_or_computing() -> None:
    work = StepWork(1000, 250, 0, 0, 0.0, cache_bytes=10)
    roof = Roofline("here", DeviceSpeed(bytes_s=1e6, flop_s=1e7), work)
    assert roof.step_s(100) == pytest.approx(2e-3)
    assert roof.verify_s(40, 100) == pytest.approx(2e-3)
    assert roof.verify_s(64, 100) == pytest.approx(2 * 250 * 64 / 1e7)
    lines = "\n".join(card(roof, 100))
    assert "1 MB/s" in lines
    assert "1 kB of weights and 1 kB of cache (100 tokens): at least 2.00 ms" in lines
    assert "3.20 (64)" in lines


@pytest.fixture
def measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """An empty cache folder; the byte counts that were measured instead of looked up."""
    calls: list[int] = []

    def measure(device: torch.device, dtype: torch.dtype, read_bytes: int) -> DeviceSpeed:
        calls.append(read_bytes)
        return DeviceSpeed(1e9 + len(calls), 1e10)

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(speeds, "measure_speed", measure)
    return calls


def test_a_speed_is_measured_once_for_each_kind(measured: list[int]) -> None:
    first = device_speed(CPU, torch.float32, 1000)
    assert device_speed(CPU, torch.float32, 1000) == first
    assert measured == [1000]
    assert device_speed(CPU, torch.bfloat16, 1000) != first
    device_speed(CPU, torch.float32, 10**12)
    device_speed(CPU, torch.float32, 10**13)
    assert measured == [1000, 1000, speeds.READ_BYTES]
    assert device_speed(CPU, torch.float32, 1000) == first


@pytest.mark.parametrize("content", ["", "{", "[]", '{"x": 3}', '{"x": {"bytes_s": "?"}}'])
def test_an_unreadable_memory_is_measured_anew(measured: list[int], content: str) -> None:
    cache_file().parent.mkdir()
    cache_file().write_text(content)
    first = device_speed(CPU, torch.float32, 1000)
    assert device_speed(CPU, torch.float32, 1000) == first
    assert len(measured) == 1


def test_a_memory_that_cannot_be_written_is_no_error(measured: list[int]) -> None:
    cache_file().parent.write_text("a file in the folder's place")
    device_speed(CPU, torch.float32, 1000)
    device_speed(CPU, torch.float32, 1000)
    assert len(measured) == 2


def test_this_device_has_a_speed() -> None:
    speed = measure_speed(CPU, torch.float32, 1 << 20)
    assert 1e7 < speed.bytes_s < 1e13
    assert 1e7 < speed.flop_s < 1e14
