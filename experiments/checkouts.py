"""The code as it is here beside the code of an old commit, each run in processes of its own."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

REPOSITORY = Path(__file__).parents[1]
NOW, OLD = "now", "old"


@contextmanager
def checkouts(commit: str) -> Iterator[dict[str, Path]]:
    """The code as it is here and as it was at `commit`."""
    with tempfile.TemporaryDirectory() as folder:
        archive = subprocess.run(
            ["git", "archive", commit], cwd=REPOSITORY, check=True, capture_output=True
        )
        subprocess.run(["tar", "-x", "-C", folder], input=archive.stdout, check=True)
        yield {NOW: REPOSITORY, OLD: Path(folder)}


def run(checkout: Path, folder: str, *arguments: str) -> None:
    """`eagle_bench.run` with the code of `checkout`, its results in `folder`, nothing shown."""
    command = [
        *(sys.executable, "-m", "eagle_bench.run", *arguments),
        *("tracker=none", "output=quiet", f"output_dir={folder}"),
    ]
    environment = os.environ | {"PYTHONPATH": str(checkout)}
    subprocess.run(command, cwd=checkout, env=environment, check=True)
