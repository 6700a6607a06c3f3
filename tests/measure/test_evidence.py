"""Others' work between two readings: from a planted /proc and cgroup, a fake NVML, a neighbour."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from dataclasses import fields
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from eagle_bench.machine.evidence import Evidence, Witness
from eagle_bench.machine.kernel import Kernel
from eagle_bench.records.rows import GenerationRow

CPU = torch.device("cpu")
TICK_S = 1 / os.sysconf("SC_CLK_TCK")


def put(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


@pytest.fixture
def planted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine of three cores, two of them allowed, and clocks that stand still."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {0, 2}, raising=False)
    monkeypatch.setattr(time, "perf_counter", lambda: clock.now_s)
    monkeypatch.setattr(time, "process_time", lambda: clock.cpu_s)
    clock.now_s = clock.cpu_s = 0.0
    return tmp_path


clock = SimpleNamespace(now_s=0.0, cpu_s=0.0)


def machine(root: Path, *, worked: int, stolen: int, waited_ns: int) -> None:
    """Ticks worked and stolen on each core, counted in several columns."""
    core = f"{worked - 4} 1 1 500 70 1 1 {stolen} 99 0"
    text = f"cpu  9 9 9 9 9 9 9 9 9 9\ncpu0 {core}\ncpu1 {core}\ncpu2 {core}\nintr 5 5\n"
    put(root / "proc" / "stat", text)
    for thread in ("11", "12"):
        put(root / "proc" / "self" / "task" / thread / "schedstat", f"7 {waited_ns} 3\n")


@pytest.mark.parametrize(
    ("groups", "stat", "pressure", "limits"),
    [
        ("0::/job\n", "job/cpu.stat", "job/cpu.pressure", "usage_usec 5\nthrottled_usec {us}\n"),
        ("0::/not/seen/from/here\n", "cpu.stat", "cpu.pressure", "throttled_usec {us}\n"),
        ("4:memory:/job\n2:cpu,cpuacct:/job\n", "cpu,cpuacct/job/cpu.stat", None,
         "nr_periods 3\nthrottled_time {us}000\n"),
    ],
)  # fmt: skip
def test_counters_of_the_kernel_by_hand(
    planted: Path, groups: str, stat: str, pressure: str | None, limits: str
) -> None:
    cgroups = planted / "cgroup"
    put(planted / "proc" / "self" / "cgroup", groups)

    def now(worked: int, stolen: int, waited_ns: int, throttled_us: int, pressed_us: int) -> None:
        machine(planted, worked=worked, stolen=stolen, waited_ns=waited_ns)
        put(cgroups / stat, limits.format(us=throttled_us))
        line = f"some avg10=0.00 avg60=0.00 avg300=0.00 total={pressed_us}\nfull total=1\n"
        put(cgroups / pressure if pressure else planted / "proc" / "pressure" / "cpu", line)

    now(1000, 0, 5_000_000, 1_000_000, 10_000_000)
    witness = Witness(CPU, Kernel(planted / "proc", cgroups))
    witness.start()
    now(1150, 30, 105_000_000, 1_250_000, 10_500_000)
    clock.now_s, clock.cpu_s = 2.0, 120 * TICK_S
    found = witness.stop()
    assert found.cpu_s == pytest.approx(120 * TICK_S)
    assert found.others_cores == pytest.approx((2 * 150 - 120) * TICK_S / 2.0)
    assert found.steal_s == pytest.approx(2 * 30 * TICK_S)
    assert found.waited_s == pytest.approx(2 * 0.1)
    assert found.throttled_s == pytest.approx(0.25)
    assert found.pressure_s == pytest.approx(0.5)
    assert found.gpu_processes is None


def test_what_the_kernel_does_not_tell_is_null(planted: Path) -> None:
    witness = Witness(CPU, Kernel(planted / "proc", planted / "cgroup"))
    witness.start()
    clock.now_s, clock.cpu_s = 1.0, 0.5
    found = witness.stop()
    assert found == Evidence(cpu_s=0.5, involuntary_switches=found.involuntary_switches)


def test_a_thread_that_ended_is_no_gain(planted: Path) -> None:
    machine(planted, worked=100, stolen=0, waited_ns=9_000_000)
    witness = Witness(CPU, Kernel(planted / "proc", planted / "cgroup"))
    witness.start()
    (planted / "proc" / "self" / "task" / "12" / "schedstat").unlink()
    clock.now_s = 1.0
    assert witness.stop().waited_s == 0.0


def test_a_gpu_tells_its_state(monkeypatch: pytest.MonkeyPatch) -> None:
    class NVMLError(Exception):
        pass

    def silent(handle: object) -> int:
        raise NVMLError("Not Supported")

    nvml = SimpleNamespace(
        NVMLError=NVMLError,
        NVML_CLOCK_SM=1,
        nvmlInit=lambda: None,
        nvmlDeviceGetHandleByUUID=lambda uuid: uuid,
        nvmlDeviceGetClockInfo=lambda handle, clock: 1000 + clock,
        nvmlDeviceGetPerformanceState=lambda handle: 2,
        nvmlDeviceGetCurrentClocksThrottleReasons=silent,
        nvmlDeviceGetComputeRunningProcesses=lambda handle: [object(), object()],
    )
    monkeypatch.setitem(sys.modules, "pynvml", nvml)
    properties = SimpleNamespace(uuid="12-34")
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: properties)
    found = Witness(torch.device("cuda")).stop()
    assert (found.gpu_sm_mhz, found.gpu_power_state, found.gpu_processes) == (1001, 2, 2)
    assert found.gpu_throttle_mask is None
    monkeypatch.setitem(sys.modules, "pynvml", None)
    assert Witness(torch.device("cuda")).stop().gpu_sm_mhz is None


def test_a_row_has_a_column_for_each_piece_of_evidence() -> None:
    columns = {field.name: field.default for field in fields(GenerationRow)}
    assert {field.name for field in fields(Evidence)} <= set(columns)
    assert all(columns[field.name] is None for field in fields(Evidence))


@pytest.mark.alone
@pytest.mark.skipif(not Path("/proc/stat").exists(), reason="the kernel tells nothing")
def test_neighbours_are_seen_and_our_own_work_is_not() -> None:
    """Two neighbours on the one core that all are allowed: we get about a third of it."""
    allowed = os.sched_getaffinity(0)
    core = {min(allowed)}
    os.sched_setaffinity(0, core)
    witness = Witness(CPU)
    try:
        witness.start()
        work_for(0.5)
        own = witness.stop()
        busy = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(2)]
        try:
            time.sleep(0.3)
            witness.start()
            work_for(1.0)
            shared = witness.stop()
        finally:
            for process in busy:
                process.kill()
                process.wait()
    finally:
        os.sched_setaffinity(0, allowed)
    assert own.others_cores is not None
    assert shared.others_cores is not None
    assert shared.waited_s is not None
    assert shared.others_cores > max(0.4, own.others_cores)
    assert shared.waited_s > 0.3
    assert shared.involuntary_switches > 10
    assert shared.cpu_s < 0.7


def work_for(seconds: float) -> None:
    end_s = time.perf_counter() + seconds
    while time.perf_counter() < end_s:
        pass
