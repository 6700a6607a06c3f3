"""The high-water mark of a generation."""

from __future__ import annotations

import psutil
import torch


class PeakMemory:
    """Bytes: the device's peak on a GPU, the growth of the process's memory on a CPU."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._process = psutil.Process()
        self._before = 0

    def start(self) -> None:
        """Begin a generation; outside its timed region."""
        if self._device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(self._device)
        else:
            self._before = self._process.memory_info().rss

    def peak_bytes(self) -> int:
        """What the generation took, read after it has ended."""
        if self._device.type == "cuda":
            return torch.cuda.max_memory_allocated(self._device)
        return max(0, int(self._process.memory_info().rss) - self._before)
