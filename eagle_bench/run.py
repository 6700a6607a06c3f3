"""`python -m eagle_bench.run`: compose the settings, validate them, hand them over."""

from __future__ import annotations

import atexit
import math
import os
import shutil
import sys
import tempfile
import time
from pathlib import Path

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode

from eagle_bench.config.run import RunConfig
from eagle_bench.config.tracker import TrackerConfig
from eagle_bench.config.values import Output
from eagle_bench.errors import RunFailure
from eagle_bench.launch.command import VERBOSE, hydra_command
from eagle_bench.launch.sweep import SWEEP, Say
from eagle_bench.records.job import Job
from eagle_bench.results.progress import ProgressBar


def job(config: RunConfig) -> None:
    """One job of a run or a multirun, in the folder that Hydra made for it."""
    began_s = time.monotonic()
    hydra = HydraConfig.get()
    alone = hydra.mode is RunMode.RUN
    folder = Path(hydra.runtime.output_dir)
    group = folder.name if alone else Path(hydra.sweep.dir).name
    until_s = math.inf if config.limit_s is None else SWEEP.began_s + config.limit_s
    quiet, verbose = config.output is Output.quiet, VERBOSE in os.environ
    bar = ProgressBar(quiet=quiet, until_s=until_s, folder=folder, verbose=verbose)
    bar.check_time()
    bar.say(f"run: {folder}" if alone else f"{SWEEP.place(hydra.job.num)}: {folder.name}")
    with bar.phase("importing torch"):
        import torch  # noqa: F401
    with bar.phase("importing the rest"):
        from eagle_bench.engines.session import SHARED
        from eagle_bench.measure.job import run_job
        from eagle_bench.results.show import show_job
        from eagle_bench.results.trackers.build import make_tracker

    tracker = make_tracker(config.tracker, folder, bar.say)
    try:
        result = run_job(config, folder, SHARED, bar)
    except BaseException as error:
        bar.stop(error)
        raise
    bar.stop()
    if not result.found:
        SWEEP.measured_s.append(time.monotonic() - began_s)
    show_job(result, config.output, tracker, group, bar.say, alone=alone)
    if config.strict:
        _refuse_suspect(result)


def _refuse_suspect(job: Job) -> None:
    """A result with a violated guard is a failure, kept all the same."""
    violated = [guard["name"] for guard in job.summary.get("guards", [])]
    if violated:
        raise RunFailure(f"strict: the result is suspect: {', '.join(violated)}.")


def _show_sweep(folder: Path, output: Output, tracker: TrackerConfig, say: Say) -> None:
    from eagle_bench.results.show import show_sweep

    show_sweep(folder, output, tracker, say)


def _keep_silent() -> None:
    """Under `torchrun` every rank but the first works for rank 0's results alone."""
    folder = tempfile.mkdtemp(prefix="eagle_bench_rank_")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    sys.argv += [f"hydra.run.dir={folder}", f"hydra.sweep.dir={folder}"]
    sys.argv += ["output=quiet", "tracker=none"]


def main() -> None:
    """The console command `eagle-bench`."""
    SWEEP.began_s = time.monotonic()
    if os.environ.get("RANK", "0") != "0":
        _keep_silent()
    sys.argv = ["strict=true" if each == "--strict" else each for each in sys.argv]
    goes_on = "" if "resume=false" in sys.argv else "; the same command goes on"
    hydra_command(
        job,
        "config",
        interrupted=f"interrupted{goes_on}.",
        at_the_end=lambda: SWEEP.show(_show_sweep),
    )()


if __name__ == "__main__":
    main()
