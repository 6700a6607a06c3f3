"""Where and with what a result was made. Reads no environment variables: none can leak."""

from __future__ import annotations

import hashlib
import os
import platform
import shutil
import subprocess
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import psutil

PACKAGES = (
    "eagle_bench",
    "torch",
    "transformers",
    "tokenizers",
    "safetensors",
    "hydra-core",
    "omegaconf",
    "numpy",
    "scipy",
    "pandas",
    "pyarrow",
    "wandb",
)
BUSY_SAMPLE_S = 0.2
GPU_FIELDS = {
    "name": "name",
    "driver": "driver_version",
    "sm_mhz": "clocks.sm",
    "sm_max_mhz": "clocks.max.sm",
    "memory_mhz": "clocks.mem",
    "temperature_c": "temperature.gpu",
    "power_limit_w": "power.limit",
    "throttle_mask": "clocks_throttle_reasons.active",
}


def capture(torch_device: str) -> dict[str, Any]:
    """Describe machine, software and checkout at the start of a run.

    Parameters
    ----------
    torch_device : str
        `cpu`, `cuda`, `cuda:1`, ...

    Returns
    -------
    dict
        Plain JSON types; what this machine cannot tell is None. `clocks.after` is for the
        caller to fill with `clocks(torch_device)` when the run is over.
    """
    import torch

    gpu_id = _gpu_id(torch_device)
    return {
        "timestamp": datetime.now(UTC).isoformat(timespec="seconds"),
        "host": platform.node(),
        "platform": platform.platform(),
        "python": platform.python_version(),
        "versions": {name: _version(name) for name in PACKAGES},
        "device": torch_device,
        "threads": torch.get_num_threads(),
        "cpu": {
            "model": cpu_model(),
            "cores": psutil.cpu_count(),
            "physical_cores": psutil.cpu_count(logical=False),
            "affinity": _affinity(),
            "governor": _first_line("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"),
            "memory_bytes": psutil.virtual_memory().total,
        },
        "load": {"one_minute": psutil.getloadavg()[0], "busy_cores": busy_cores()},
        "container": _container(),
        "git": git_state(Path(__file__)),
        "gpu": gpu_state(gpu_id) if gpu_id else None,
        "cuda": torch.version.cuda,
        "clocks": {"before": clocks(torch_device), "after": None},
    }


def measured_elsewhere(then: Mapping[str, Any]) -> str:
    """In what a run with the provenance `then` had other software or machine; empty: in none."""
    was = {**then.get("versions", {}), "host": then.get("host")}
    now = {"eagle_bench": _version("eagle_bench"), "torch": _version("torch")}
    now["host"] = platform.node()
    other = [
        f"{name} {was.get(name)}, not {here}" for name, here in now.items() if was.get(name) != here
    ]
    return "; ".join(other)


def clocks(torch_device: str) -> dict[str, Any]:
    """Clocks now: MHz of CPU and GPU, temperature and throttle reasons of the GPU."""
    frequency = psutil.cpu_freq()
    gpu_id = _gpu_id(torch_device)
    gpu = gpu_state(gpu_id) if gpu_id else None
    return {
        "cpu_mhz": frequency.current if frequency else None,
        "gpu_sm_mhz": gpu["sm_mhz"] if gpu else None,
        "gpu_temperature_c": gpu["temperature_c"] if gpu else None,
        "gpu_throttle_mask": gpu["throttle_mask"] if gpu else None,
    }


def busy_cores(sample_s: float = BUSY_SAMPLE_S) -> float:
    """Cores' worth of work that others do while this process sleeps for `sample_s`."""
    share = float(psutil.cpu_percent(interval=sample_s)) / 100
    return share * (psutil.cpu_count() or 1)


def git_state(path: Path) -> dict[str, Any] | None:
    """Commit of the checkout that `path` is a tracked file of; None for an installed package.

    `diff_sha256` identifies uncommitted changes to tracked files, None without any.
    """
    folder = path.resolve().parent
    if (
        shutil.which("git") is None
        or _git(folder, "ls-files", "--error-unmatch", path.name) is None
    ):
        return None
    diff = _git(folder, "diff", "HEAD", "--binary")
    return {
        "sha": (_git(folder, "rev-parse", "HEAD") or b"").decode().strip() or None,
        "dirty": bool(_git(folder, "status", "--porcelain")),
        "diff_sha256": hashlib.sha256(diff).hexdigest() if diff else None,
    }


def git_diff(path: Path) -> str | None:
    """Uncommitted changes to tracked files of the checkout; None without any."""
    if git_state(path) is None:
        return None
    diff = _git(path.resolve().parent, "diff", "HEAD", "--binary")
    return diff.decode(errors="replace") if diff else None


def gpu_state(gpu_id: str) -> dict[str, Any] | None:
    """What nvidia-smi tells of one GPU (`gpu_id`: its UUID); None without nvidia-smi."""
    if shutil.which("nvidia-smi") is None:
        return None
    query = f"--query-gpu={','.join(GPU_FIELDS.values())}"
    answer = _smi(gpu_id, query)
    if answer is None:
        return None
    values = (cell.strip() for cell in answer.split(","))
    state: dict[str, Any] = dict(zip(GPU_FIELDS, values, strict=True))
    for name in ("sm_mhz", "sm_max_mhz", "memory_mhz", "temperature_c", "power_limit_w"):
        state[name] = _number(state[name])
    mask = state["throttle_mask"]
    state["throttle_mask"] = int(mask, 16) if mask.startswith("0x") else None
    state["compute_processes"] = len((_smi(gpu_id, "--query-compute-apps=pid") or "").split())
    return state


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def cpu_model() -> str | None:
    """The processor's name as the kernel tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or None
    models = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.processor() or None


def _affinity() -> list[int] | None:
    return sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None


def _first_line(path: str) -> str | None:
    try:
        return Path(path).read_text().strip().split("\n")[0]
    except OSError:
        return None


def _container() -> str | None:
    if Path("/.dockerenv").exists():
        return "docker"
    if Path("/run/.containerenv").exists():
        return "podman"
    if Path("/.singularity.d").exists():
        return "apptainer"
    groups = Path("/proc/1/cgroup")
    return "kubernetes" if groups.exists() and "kubepods" in groups.read_text() else None


def _git(folder: Path, *arguments: str) -> bytes | None:
    done = subprocess.run(
        ["git", "-C", str(folder), *arguments], capture_output=True, check=False, timeout=30
    )
    return done.stdout if done.returncode == 0 else None


def _gpu_id(torch_device: str) -> str | None:
    if not torch_device.startswith("cuda"):
        return None
    import torch

    return f"GPU-{torch.cuda.get_device_properties(torch.device(torch_device)).uuid}"


def _smi(gpu_id: str, query: str) -> str | None:
    done = subprocess.run(
        ["nvidia-smi", "-i", gpu_id, query, "--format=csv,noheader,nounits"],
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    return done.stdout.strip() if done.returncode == 0 else None


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
