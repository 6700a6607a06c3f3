"""The length sweep quiet and beside a planted neighbour, as it is now and at an old commit.

    python -m experiments.noise.measure [--seeds 10] [--prompts 16] [--lengths 50,100,200]
        [--long 500,1000] [--pairs 5] [--commit bb9d868]

Run it on a quiet machine, from the repository. Every sweep is a process of its own. Writes
`result.csv`, a line for each sweep and length, and prints the verdicts.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from experiments.checkouts import NOW, OLD, checkouts, run

HERE = Path(__file__).parent
NEAR = 0.06
SHARE = 0.7


@dataclass(frozen=True)
class Sweep:
    """What one process measures, and beside whom: a neighbour's seed, or nobody."""

    code: str
    lengths: Sequence[int]
    prompts: int
    seed: int | None


def measure(sweep: Sweep, checkout: Path) -> list[dict[str, object]]:
    """Run the sweep with the code of `checkout`; a line for each length.

    Returns
    -------
    list of dict
        Length, speedup, its bounds, whether it is marked `disturbed`, seconds of all timed
        generations (`timed_s`) and of the whole process (`process_s`).
    """
    with tempfile.TemporaryDirectory() as folder:
        lengths = "gen_len=" + ",".join(map(str, sweep.lengths))
        beside = nullcontext() if sweep.seed is None else neighbour(sweep.seed)
        began_s = time.perf_counter()
        with beside:
            run(checkout, folder, "-m", lengths, f"num_samples={sweep.prompts}", "stop=length")
        process_s = time.perf_counter() - began_s
        results = [json.loads(path.read_text()) for path in Path(folder).rglob("result.json")]
    return [
        {"code": sweep.code, "seed": sweep.seed, **_line(result["summary"]), "process_s": process_s}
        for result in sorted(results, key=lambda result: int(result["summary"]["gen_len"]))
    ]


def _line(summary: dict[str, object]) -> dict[str, object]:
    speedup, arms, guards = (pd.Series(summary)[name] for name in ("speedup", "arms", "guards"))
    return {
        "gen_len": summary["gen_len"],
        **{name: speedup[name] for name in ("pooled", "low", "high")},
        "disturbed": any(guard["name"] == "disturbed" for guard in guards),
        "timed_s": sum(arm["wall_s"] for arm in arms.values()),
    }


@contextmanager
def neighbour(seed: int) -> Iterator[None]:
    """Somebody who burns all our cores in bursts."""
    command = [sys.executable, HERE / "neighbour.py", str(seed), str(os.cpu_count())]
    process = subprocess.Popen(command, start_new_session=True)
    try:
        yield
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def plan(options: argparse.Namespace) -> list[Sweep]:
    """Quiet sweeps of both codes in turn, then those beside the neighbour, then the long ones."""
    quiet = [
        Sweep(code, options.lengths, options.prompts, None)
        for _ in range(options.pairs)
        for code in (NOW, OLD)
    ]
    noisy = [
        Sweep(code, options.lengths, options.prompts, seed)
        for seed in range(options.seeds)
        for code in (NOW, OLD)
    ]
    return [*quiet, *noisy, Sweep(NOW, options.long, options.prompts, 0)]


def verdicts(lines: pd.DataFrame) -> list[str]:
    """What the lines of all sweeps say, a sentence each."""
    quiet = lines[lines["seed"].isna()]
    reference = quiet[quiet["code"] == NOW].groupby("gen_len")["pooled"].median()
    noisy = lines[lines["seed"].notna()]
    known = noisy[noisy["gen_len"].isin(reference.index)]
    away = known["pooled"] / known["gen_len"].map(reference) - 1
    said = []
    for code, group in known.groupby("code"):
        near, worst = away[group.index].abs() <= NEAR, away[group.index].abs().max()
        said.append(
            f"{code}: {near.sum()} of {len(group)} speedups beside the neighbour are within "
            f"{NEAR:.0%} of the quiet one (wanted: {SHARE:.0%}), "
            f"{(near | group['disturbed']).sum()} are within it or marked `disturbed`; "
            f"the farthest is {worst:.0%} away."
        )
    for _, line in noisy[~noisy["gen_len"].isin(reference.index)].iterrows():
        mark = "marked" if line["disturbed"] else "not marked"
        said.append(
            f"{line['gen_len']} tokens beside the neighbour: {line['pooled']:.2f}x, {mark} "
            "`disturbed`."
        )
    for name in ("timed_s", "process_s"):
        medians = quiet.groupby(["code", "gen_len"])[name].median().groupby("code").sum()
        said.append(f"Quiet, {name} now over old: {medians[NOW] / medians[OLD]:.3f}.")
    return said


def main() -> None:
    """Measure the plan; what is measured already is kept when a sweep fails."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    numbers = lambda text: [int(each) for each in text.split(",")]  # noqa: E731
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--prompts", type=int, default=16)
    parser.add_argument("--lengths", type=numbers, default=[50, 100, 200])
    parser.add_argument("--long", type=numbers, default=[500, 1000])
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--commit", default="bb9d868")
    parser.add_argument("--output", type=Path, default=HERE / "result.csv")
    options = parser.parse_args()
    lines: list[dict[str, object]] = []
    with checkouts(options.commit) as code:
        for sweep in plan(options):
            lines += measure(sweep, code[sweep.code])
            pd.DataFrame(lines).to_csv(options.output, index=False, float_format="%.5g")
    print(*verdicts(pd.DataFrame(lines)), sep="\n")


if __name__ == "__main__":
    main()
