"""The package as `pip install` leaves it: no checkout, `conf/` and the pair inside."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that holds the wheel's content and its console scripts."""
    folder = tmp_path_factory.mktemp("installed")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "-q"]
    subprocess.run(
        [*pip, "--no-deps", "--no-build-isolation", "--target", str(folder), str(ROOT)],
        check=True,
        timeout=120,
    )
    return folder


def test_the_wheel_runs_the_embedded_pair_anywhere(installed: Path, tmp_path: Path) -> None:
    command = [str(installed / "bin" / "eagle-bench"), "num_samples=1", "gen_len=8"]
    done = subprocess.run(
        [*command, "tracker=none", "output=json", "threads=1"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(installed)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout.splitlines()[-1])
    assert document["summary"]["lossless"]["exact_share"] == 1.0
    assert Path(document["folder"]).is_relative_to(tmp_path)


def test_the_wheel_holds_every_setting_and_asset(installed: Path) -> None:
    package = installed / "eagle_bench"
    for source, copy in (
        (ROOT / "conf", package / "conf"),
        (ROOT / "eagle_bench" / "assets", package / "assets"),
    ):
        wanted = {
            str(file.relative_to(source))
            for file in source.rglob("*")
            if file.is_file() and file.suffix != ".pyc"
        }
        assert wanted == {
            str(file.relative_to(copy))
            for file in copy.rglob("*")
            if file.is_file() and file.suffix != ".pyc"
        }
