"""How fast this device reads weights and multiplies: measured once, then remembered."""

from __future__ import annotations

import json
import os
import platform
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch.nn import functional as F

from eagle_bench.config.values import dtype_name
from eagle_bench.errors import RunFailure
from eagle_bench.machine.clock import synchronizer
from eagle_bench.machine.provenance import cpu_model
from eagle_bench.records.atomic import write_text

READ_BYTES, READ_BYTES_GPU = 256 << 20, 1 << 30
"""More than a cache holds."""
COLUMNS = 2048
SIDE, SIDE_GPU = 512, 8192
TIMINGS, BUDGET_S = 3, 0.5


@dataclass(frozen=True)
class DeviceSpeed:
    """Bytes/s of a matrix-vector product's weights, FLOP/s of a square matrix product."""

    bytes_s: float
    flop_s: float


def device_name(device: torch.device) -> str:
    """The GPU's name, or the processor's."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return cpu_model() or platform.machine()


def device_speed(device: torch.device, dtype: torch.dtype, weight_bytes: int) -> DeviceSpeed:
    """This machine's speed, from the user's cache folder or measured now (under 2 s).

    Weights that fit into a processor's last cache stay there from step to step, so the
    product that is timed reads `weight_bytes`, or `READ_BYTES` where the weights are larger.
    What is remembered holds for one device, dtype, number of threads and torch version.
    """
    read_bytes = min(weight_bytes, READ_BYTES if device.type == "cpu" else READ_BYTES_GPU)
    key = " | ".join(
        (
            device_name(device),
            f"{torch.get_num_threads()} threads",
            dtype_name(dtype),
            f"torch {torch.__version__}",
            f"{read_bytes} bytes",
        )
    )
    known = _read(cache_file())
    if key not in known:
        known[key] = measure_speed(device, dtype, read_bytes)
        _write(cache_file(), known)
    return known[key]


def cache_file() -> Path:
    """Where speeds are remembered."""
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "eagle_bench" / "device_speed.json"


@torch.inference_mode()
def measure_speed(device: torch.device, dtype: torch.dtype, read_bytes: int) -> DeviceSpeed:
    """The best of several timings: other work can only slow them, and a floor must hold."""
    rows = max(1, read_bytes // (COLUMNS * dtype.itemsize))
    weights = torch.ones(rows, COLUMNS, dtype=dtype, device=device)
    token = torch.ones(1, 1, COLUMNS, dtype=dtype, device=device)
    read_s = _best_s(lambda: F.linear(token, weights), device)
    side = SIDE if device.type == "cpu" else SIDE_GPU
    square = torch.ones(side, side, dtype=dtype, device=device)
    multiply_s = _best_s(lambda: square @ square, device)
    return DeviceSpeed(weights.nbytes / read_s, 2 * side**3 / multiply_s)


def _best_s(work: Callable[[], object], device: torch.device) -> float:
    """Seconds of the fastest run within `BUDGET_S`, after one that is not counted."""
    synchronize = synchronizer(device)
    work()
    synchronize()
    timings: list[float] = []
    while len(timings) < TIMINGS or sum(timings) < BUDGET_S:
        began_s = time.perf_counter()
        work()
        synchronize()
        timings.append(time.perf_counter() - began_s)
    return min(timings)


def _read(path: Path) -> dict[str, DeviceSpeed]:
    """What is remembered; nothing where that cannot be read."""
    try:
        known = json.loads(path.read_bytes())
        return {
            key: DeviceSpeed(float(speed["bytes_s"]), float(speed["flop_s"]))
            for key, speed in known.items()
        }
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}


def _write(path: Path, known: dict[str, DeviceSpeed]) -> None:
    """Remember; a folder that cannot be written to only means measuring again."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_text(path, json.dumps({key: asdict(speed) for key, speed in known.items()}, indent=1))
    except (OSError, RunFailure):
        return
