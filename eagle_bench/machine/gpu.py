"""A GPU's state as NVML tells it, where `pynvml` is installed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch


class Gpu:
    """One board.

    Parameters
    ----------
    nvml : module
        `pynvml`, initialised.
    handle
        Its handle of the board.
    """

    def __init__(self, nvml: Any, handle: Any) -> None:
        self._nvml, self._handle = nvml, handle

    def state(self) -> dict[str, int | None]:
        """The `gpu_*` fields of `Evidence`; None where this board or driver does not tell."""
        nvml = self._nvml
        return {
            "gpu_sm_mhz": self._ask(nvml.nvmlDeviceGetClockInfo, nvml.NVML_CLOCK_SM),
            "gpu_power_state": self._ask(nvml.nvmlDeviceGetPerformanceState),
            "gpu_throttle_mask": self._ask(nvml.nvmlDeviceGetCurrentClocksThrottleReasons),
            "gpu_processes": self._ask(
                lambda handle: len(nvml.nvmlDeviceGetComputeRunningProcesses(handle))
            ),
        }

    def _ask(self, question: Callable[..., int], *options: int) -> int | None:
        try:
            return int(question(self._handle, *options))
        except self._nvml.NVMLError:
            return None


def open_gpu(device: torch.device) -> Gpu | None:
    """The board of `device`; None without `pynvml`, or where NVML does not know it."""
    try:
        import pynvml
    except ModuleNotFoundError:
        return None
    uuid = f"GPU-{torch.cuda.get_device_properties(device).uuid}"
    try:
        pynvml.nvmlInit()
        return Gpu(pynvml, pynvml.nvmlDeviceGetHandleByUUID(uuid))
    except pynvml.NVMLError:
        return None
