"""Joules that a generation took, where the machine counts them.

A GPU's own counter (NVML, the whole board), or the CPU packages' (RAPL, all of the machine's
work). Counters run on by themselves and are read before and after an arm's block, outside its
timed region. They advance in steps of about 1 ms (RAPL) to 100 ms (NVML), so a sum over many
generations says more than one of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch

POWERCAP = Path("/sys/class/powercap")
PACKAGE = "package-"
"""Other zones are parts of a package (cores, memory) or hold all of them (psys)."""


class Counter(Protocol):
    """Something that adds up energy."""

    def read_j(self) -> list[float]:
        """Joules so far, by part of the machine."""
        ...

    @property
    def range_j(self) -> list[float]:
        """Where each part begins again at 0."""
        ...


@dataclass(frozen=True)
class Rapl:
    """The packages' counters under `/sys/class/powercap`."""

    zones: tuple[Path, ...]

    def read_j(self) -> list[float]:
        return [_microjoules(zone / "energy_uj") for zone in self.zones]

    @property
    def range_j(self) -> list[float]:
        return [_microjoules(zone / "max_energy_range_uj") for zone in self.zones]


class Nvml:
    """A GPU's total-energy counter (Volta and later)."""

    range_j = [float("inf")]

    def __init__(self, nvml: Any, gpu_uuid: str) -> None:
        nvml.nvmlInit()
        self._nvml = nvml
        self._handle = nvml.nvmlDeviceGetHandleByUUID(gpu_uuid)

    def read_j(self) -> list[float]:
        return [self._nvml.nvmlDeviceGetTotalEnergyConsumption(self._handle) / 1e3]


class EnergyMeter:
    """Joules between `start` and `stop_j`.

    Attributes
    ----------
    source : str
        What is counted, or why nothing is.
    """

    def __init__(self, counter: Counter | None, source: str) -> None:
        self._counter = counter
        self.source = source
        self._before_j: list[float] = []

    def start(self) -> None:
        """Begin a block; outside its timed region."""
        if self._counter is not None:
            self._before_j = self._counter.read_j()

    def stop_j(self) -> float | None:
        """Joules since `start`; None where nothing counts them."""
        if self._counter is None:
            return None
        return sum(
            after - before if after >= before else after - before + range_j
            for before, after, range_j in zip(
                self._before_j, self._counter.read_j(), self._counter.range_j, strict=True
            )
        )

    def as_dict(self) -> dict[str, Any]:
        """The `energy` part of a provenance."""
        return {"available": self._counter is not None, "source": self.source}


def energy_meter(device: torch.device, powercap: Path = POWERCAP) -> EnergyMeter:
    """The meter of what does the work: the GPU on `cuda`, else the CPU packages."""
    if device.type == "cuda":
        return _gpu_meter(device)
    return _cpu_meter(powercap)


def shares_j(joules: float | None, tokens: Sequence[int]) -> list[float | None]:
    """A block's energy divided among its generations by the tokens each emitted."""
    if joules is None:
        return [None] * len(tokens)
    return [joules * count / sum(tokens) for count in tokens]


def _gpu_meter(device: torch.device) -> EnergyMeter:
    try:
        import pynvml
    except ModuleNotFoundError:
        return EnergyMeter(None, "unavailable: NVML needs the package nvidia-ml-py")
    uuid = f"GPU-{torch.cuda.get_device_properties(device).uuid}"
    try:
        counter = Nvml(pynvml, uuid)
        counter.read_j()
    except pynvml.NVMLError as error:
        return EnergyMeter(None, f"unavailable: NVML says {error}")
    return EnergyMeter(counter, f"NVML, the whole board of {device}")


def _cpu_meter(powercap: Path) -> EnergyMeter:
    zones = [
        zone
        for zone in sorted(powercap.glob("intel-rapl:*"))
        if (name := zone / "name").is_file() and name.read_text().startswith(PACKAGE)
    ]
    if not zones:
        return EnergyMeter(None, f"unavailable: no RAPL packages under {powercap}")
    counter = Rapl(tuple(zones))
    try:
        counter.read_j()
    except PermissionError:
        return EnergyMeter(None, f"unavailable: {zones[0]}/energy_uj is readable by root only")
    return EnergyMeter(counter, f"RAPL, {len(zones)} CPU packages with all that runs on them")


def _microjoules(path: Path) -> float:
    return int(path.read_text()) / 1e6
