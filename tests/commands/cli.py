"""`python -m eagle_bench.run` as its own process, without the seconds that importing takes."""

from __future__ import annotations

import multiprocessing
import os
import resource
import subprocess
import sys
from multiprocessing.process import BaseProcess
from pathlib import Path

QUICK = (
    *("tracker=none", "threads=1", "output=quiet", "measure.preflight=false"),
    "measure.remeasure=0",
    *("measure.warmup_max=1", "measure.bootstrap_resamples=100", "gen_len=6"),
)
OUT, ERR = "stdout.txt", "stderr.txt"
SERVER = multiprocessing.get_context("forkserver")
"""Has everything imported once, so that a command starts at once."""
SERVER.set_forkserver_preload(
    ["eagle_bench.run", "eagle_bench.measure.job", "eagle_bench.results.show", "transformers"]
)


def command(output: Path, arguments: tuple[str, ...], largest_file: int | None) -> None:
    """The command in this process; a file that grows beyond `largest_file` bytes is an error."""
    with (output / OUT).open("w") as out, (output / ERR).open("w") as err:
        os.dup2(out.fileno(), 1)
        os.dup2(err.fileno(), 2)
        sys.argv = ["run", *arguments]
        from matplotlib.figure import Figure

        from eagle_bench.run import main

        # Pictures would take half of the time and hold nothing that could be lost.
        Figure.savefig = lambda self, path, **_: Path(path).touch()
        if largest_file is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (largest_file, resource.RLIM_INFINITY))
        main()


def start(output: Path, *arguments: str, largest_file: int | None = None) -> BaseProcess:
    """Begin in the background; what it says goes to files in `output`."""
    output.mkdir(exist_ok=True)
    arguments = (*arguments, f"output_dir={output}")
    process = SERVER.Process(target=command, args=(output, arguments, largest_file))
    process.start()
    return process


def run(output: Path, *arguments: str, largest_file: int | None = None) -> int:
    """Run to the end; the exit code."""
    process = start(output, *arguments, largest_file=largest_file)
    process.join(120)
    assert process.exitcode is not None, told(output)
    return process.exitcode


def call(output: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run to the end, as `subprocess.run` would."""
    code = run(output, *arguments)
    said = [(output / name).read_text() for name in (OUT, ERR)]
    return subprocess.CompletedProcess(arguments, code, *said)


def told(output: Path) -> str:
    """Everything that the last command there said."""
    return (output / OUT).read_text() + (output / ERR).read_text()
