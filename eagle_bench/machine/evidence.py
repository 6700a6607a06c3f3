"""Whether somebody else used the machine while a generation ran: readings before and after it."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from eagle_bench.machine.gpu import Gpu, open_gpu
from eagle_bench.machine.kernel import Kernel


@dataclass(frozen=True)
class Evidence:
    """What happened between two readings; None where the machine does not tell.

    Attributes
    ----------
    cpu_s : float
        CPU seconds of this process, all threads together.
    involuntary_switches : int
        How often one of its threads was taken off its core.
    waited_s : float
        Seconds that its threads were ready and waited for a core, all together.
    others_cores : float
        Cores' worth of work of other processes on the allowed cores.
    steal_s : float
        Seconds of the allowed cores that the hypervisor took.
    throttled_s : float
        Seconds that the container's CPU quota held it.
    pressure_s : float
        Seconds in which some task of the container, or else of the machine, waited for a core.
    gpu_sm_mhz, gpu_power_state, gpu_throttle_mask, gpu_processes
        Of the GPU just after the generation: clock, performance state (0 is the fastest), NVML's
        throttle reasons, compute processes that hold it.
    """

    cpu_s: float
    involuntary_switches: int
    waited_s: float | None = None
    others_cores: float | None = None
    steal_s: float | None = None
    throttled_s: float | None = None
    pressure_s: float | None = None
    gpu_sm_mhz: int | None = None
    gpu_power_state: int | None = None
    gpu_throttle_mask: int | None = None
    gpu_processes: int | None = None


class Witness:
    """Reads the machine's counters before and after an arm's work, outside its timed region."""

    def __init__(self, device: torch.device, kernel: Kernel | None = None) -> None:
        self._kernel = kernel or Kernel()
        self._gpu: Gpu | None = open_gpu(device) if device.type == "cuda" else None
        self._before = self._kernel.read()

    def start(self) -> None:
        """Read before the work."""
        self._before = self._kernel.read()

    def stop(self) -> Evidence:
        """Read after the work; what happened since `start`."""
        before, after = self._before, self._kernel.read()
        return Evidence(
            cpu_s=after.cpu_s - before.cpu_s,
            involuntary_switches=after.involuntary_switches - before.involuntary_switches,
            waited_s=_gained(before.waited_s, after.waited_s),
            others_cores=after.others_cores(before),
            steal_s=_gained(before.steal_s, after.steal_s),
            throttled_s=_gained(before.throttled_s, after.throttled_s),
            pressure_s=_gained(before.pressure_s, after.pressure_s),
            **self._gpu.state() if self._gpu else {},
        )


def _gained(before: float | None, after: float | None) -> float | None:
    """A sum over threads falls when one of them ends: that is no gain."""
    return None if before is None or after is None else max(0.0, after - before)
