"""What is recorded of machine and checkout, and what must not be."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time

import pytest

from eagle_bench.figures.machine_guards import throttled
from eagle_bench.machine import provenance
from eagle_bench.machine.checkpoints import fingerprint, on_disk


def git(folder, *arguments):
    subprocess.run(
        ["git", "-c", "user.name=t", "-c", "user.email=t@example.org", *arguments],
        cwd=folder,
        check=True,
        capture_output=True,
    )


def test_capture_is_json_and_holds_no_environment(monkeypatch):
    monkeypatch.setenv("WANDB_API_KEY", "s3cr3t-value")
    monkeypatch.setenv("HF_TOKEN", "hf_s3cr3t-value")
    found = provenance.capture("cpu")
    text = json.dumps(found)
    assert "s3cr3t" not in text
    assert found["cpu"]["affinity"] == sorted(os.sched_getaffinity(0))
    assert found["versions"]["torch"]
    assert found["gpu"] is None
    assert throttled(found["clocks"]["before"], provenance.clocks("cpu")).detail


def test_a_busy_neighbour_is_seen():
    with subprocess.Popen([sys.executable, "-c", "while True: pass"]) as neighbour:
        time.sleep(0.3)
        busy = provenance.busy_cores(0.6)
        neighbour.kill()
    assert busy > 0.5


def test_git_state(tmp_path):
    git(tmp_path, "init", "-q")
    file = tmp_path / "module.py"
    file.write_text("a = 1\n")
    assert provenance.git_state(file) is None
    git(tmp_path, "add", "module.py")
    git(tmp_path, "commit", "-qm", "first")
    clean = provenance.git_state(file)
    assert len(clean["sha"]) == 40
    assert (clean["dirty"], clean["diff_sha256"]) == (False, None)
    file.write_text("a = 2\n")
    first = provenance.git_state(file)
    file.write_text("a = 3\n")
    second = provenance.git_state(file)
    assert first["dirty"]
    assert first["sha"] == clean["sha"]
    assert len({first["diff_sha256"], second["diff_sha256"], None}) == 3


def test_outside_a_checkout(tmp_path):
    (tmp_path / "module.py").touch()
    assert provenance.git_state(tmp_path / "module.py") is None


def test_fingerprint_follows_names_and_contents_of_checkpoint_files(tmp_path):
    folder = tmp_path / "head"
    folder.mkdir()
    (folder / "model.safetensors").write_bytes(b"weights")
    (folder / "config.json").write_text("{}")
    original = fingerprint(folder)
    (folder / "README.md").write_text("notes")
    (folder / ".cache").mkdir()
    (folder / ".cache" / "lock.json").touch()
    assert fingerprint(folder) == original
    (tmp_path / "moved").symlink_to(folder)
    assert fingerprint(tmp_path / "moved") == original
    (folder / "config.json").write_text("[]")
    changed = fingerprint(folder)
    (folder / "config.json").rename(folder / "other.json")
    renamed = fingerprint(folder)
    assert len({original, changed, renamed}) == 3


def test_fingerprint_of_one_file_ignores_its_folder(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "map.pt").write_bytes(b"12")
    first = fingerprint(tmp_path / "a" / "map.pt")
    assert first == fingerprint(tmp_path / "b" / "map.pt")


def test_a_hub_id_is_the_snapshot_that_its_revision_names_now(tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    repository = tmp_path / "models--me--pair"
    (repository / "refs").mkdir(parents=True)
    for commit in ("a" * 40, "b" * 40):
        folder = repository / "snapshots" / commit
        folder.mkdir(parents=True)
        (folder / "config.json").write_text(commit)
        (repository / "refs" / "main").write_text(commit)
        assert on_disk("me/pair") == folder
    assert on_disk("me/pair", "a" * 40) == repository / "snapshots" / ("a" * 40)
    assert on_disk("me/other") is None
    assert on_disk("/no/such/folder") is None


@pytest.fixture
def fake_smi(tmp_path, monkeypatch):
    script = tmp_path / "nvidia-smi"
    script.write_text(
        "#!/bin/sh\n"
        'case "$3" in\n'
        "  *query-gpu*) echo 'NVIDIA H100, 570.1, 1200, 1980, 2619, 81, [N/A], 0x40';;\n"
        "  *) printf '11\\n12\\n';;\n"
        "esac\n"
    )
    script.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")


@pytest.mark.usefixtures("fake_smi")
def test_gpu_state_from_nvidia_smi():
    found = provenance.gpu_state("GPU-1")
    assert found["name"] == "NVIDIA H100"
    assert found["sm_mhz"] == 1200.0
    assert found["power_limit_w"] is None
    assert found["throttle_mask"] == 0x40
    assert found["compute_processes"] == 2
    guard = throttled({"gpu_sm_mhz": 1980.0}, {"gpu_sm_mhz": found["sm_mhz"]})
    assert not guard.ok
