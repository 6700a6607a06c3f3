"""Joules from counters that run on: a fake powercap folder, and a fake NVML."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from eagle_bench.machine.energy import energy_meter, shares_j

CPU = torch.device("cpu")


def zone(root: Path, place: str, name: str, energy_uj: int) -> Path:
    folder = root / f"intel-rapl:{place}"
    folder.mkdir(parents=True)
    (folder / "name").write_text(f"{name}\n")
    (folder / "energy_uj").write_text(f"{energy_uj}\n")
    (folder / "max_energy_range_uj").write_text("262143328850\n")
    return folder / "energy_uj"


def test_packages_are_added_up_and_their_parts_are_not(tmp_path: Path) -> None:
    first = zone(tmp_path, "0", "package-0", 5_000_000)
    second = zone(tmp_path, "1", "package-1", 262_143_000_000)
    core = zone(tmp_path, "0:0", "core", 1_000_000)
    everything = zone(tmp_path, "2", "psys", 9_000_000)
    meter = energy_meter(CPU, tmp_path)
    assert meter.as_dict() == {
        "available": True,
        "source": "RAPL, 2 CPU packages with all that runs on them",
    }
    meter.start()
    first.write_text("7500000\n")
    second.write_text("671150\n")
    core.write_text("2000000\n")
    everything.write_text("99000000\n")
    assert meter.stop_j() == pytest.approx(2.5 + 1.0)


def test_a_counter_that_wraps_between_two_blocks_counts_once(tmp_path: Path) -> None:
    counter = zone(tmp_path, "0", "package-0", 262_143_328_850)
    meter = energy_meter(CPU, tmp_path)
    found = []
    for reading in (250_000, 1_250_000):
        meter.start()
        counter.write_text(f"{reading}\n")
        found.append(meter.stop_j())
    assert found == pytest.approx([0.25, 1.0])


def test_where_nothing_counts_the_reason_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    meter = energy_meter(CPU, tmp_path / "nowhere")
    meter.start()
    assert meter.stop_j() is None
    assert not meter.as_dict()["available"]
    assert "no RAPL packages" in meter.source
    zone(tmp_path, "0", "package-0", 1)

    def forbidden(self: Path) -> str:
        if self.name == "energy_uj":
            raise PermissionError(13, "Permission denied")
        return "package-0"

    monkeypatch.setattr(Path, "read_text", forbidden)
    assert "readable by root only" in energy_meter(CPU, tmp_path).source


def test_a_gpu_counts_in_millijoules(monkeypatch: pytest.MonkeyPatch) -> None:
    class NVMLError(Exception):
        pass

    counted = iter([1000, 2000, 4500])
    asked: list[str] = []
    nvml = SimpleNamespace(
        NVMLError=NVMLError,
        nvmlInit=lambda: None,
        nvmlDeviceGetHandleByUUID=asked.append,
        nvmlDeviceGetTotalEnergyConsumption=lambda handle: next(counted),
    )
    monkeypatch.setitem(sys.modules, "pynvml", nvml)
    properties = SimpleNamespace(uuid="12-34")
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: properties)
    meter = energy_meter(torch.device("cuda"))
    meter.start()
    assert meter.stop_j() == pytest.approx(2.5)
    assert asked == ["GPU-12-34"]

    def unsupported(handle: object) -> int:
        raise NVMLError("Not Supported")

    nvml.nvmlDeviceGetTotalEnergyConsumption = unsupported
    assert energy_meter(torch.device("cuda")).source == "unavailable: NVML says Not Supported"
    monkeypatch.setitem(sys.modules, "pynvml", None)
    assert "nvidia-ml-py" in energy_meter(torch.device("cuda")).source


def test_a_batch_shares_its_joules_by_tokens() -> None:
    assert shares_j(12.0, [1, 2, 3]) == [2.0, 4.0, 6.0]
    assert shares_j(None, [1, 2]) == [None, None]
