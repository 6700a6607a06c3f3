"""Target calls per token against what acceptance predicts.

    python experiments/acceptance/theory.py SWEEP_FOLDER...

Two predictions: 1/tau, which only leaves out prefill and the last round's overshoot, and the
formula of Leviathan et al. (arXiv 2211.17192) for tokens that are accepted independently with one
probability. That probability, alpha, is the share of verified positions that were accepted; a round
verifies its accepted tokens and the first wrong one. Writes `theory.md` and
`calls_by_acceptance.png` beside this file.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from eagle_bench.measure.cost.model import iid_tau
from eagle_bench.records.find import find_jobs
from eagle_bench.records.generation import BASELINE
from eagle_bench.records.job import Job
from eagle_bench.records.rowfiles import read_rounds, rounds_frame
from eagle_bench.results.charts.style import COLOURS, canvas

HERE = Path(__file__).parent


def compare(job: Job) -> dict[str, Any]:
    """Measured and predicted figures of one job with a chain."""
    rounds = rounds_frame([each for each in read_rounds(job.folder)[0] if each.arm != BASELINE])
    verified = rounds.accepted + (rounds.accepted < rounds.depth)
    alpha = rounds.accepted.sum() / verified.sum()
    drafter = job.config["drafter"]
    figures = job.speculative
    return {
        "drafter": drafter["name"] if drafter.get("path") is None else Path(drafter["path"]).name,
        "K": job.config["decoding"]["draft_len"],
        "accept rate": figures["acceptance_rate"],
        "alpha": alpha,
        "tau": figures["tau"],
        "i.i.d. tau": np.mean([iid_tau(alpha, depth) for depth in rounds.depth]),
        "calls/token": figures["calls_per_token"],
    }


def tabulate(folders: list[Path]) -> pd.DataFrame:
    """One line per complete job, with the two predicted calls per token."""
    jobs = [job for job in find_jobs(folders).jobs if job.complete]
    table = pd.DataFrame([compare(job) for job in jobs]).sort_values(["K", "alpha"])
    table["1/tau"] = 1 / table["tau"]
    table["1/i.i.d. tau"] = 1 / table["i.i.d. tau"]
    return table


def as_markdown(table: pd.DataFrame) -> str:
    """The table for the README."""
    heads = [*table.columns]
    lines = ["| " + " | ".join(heads) + " |", "|---" + "|---:" * (len(heads) - 1) + "|"]
    for row in table.itertuples(index=False):
        cells = (f"{cell:.3f}" if isinstance(cell, float) else str(cell) for cell in row)
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def draw(table: pd.DataFrame, path: Path) -> None:
    """Calls per token over alpha: a point per job, a line per draft length for the formula."""
    with canvas(path, 7.2) as (figure, axes):
        alphas = np.linspace(0, 1, 101)
        for colour, (draft_len, jobs) in zip(COLOURS, table.groupby("K"), strict=False):
            predicted = [1 / iid_tau(alpha, int(str(draft_len))) for alpha in alphas]
            axes.plot(alphas, predicted, color=colour, label=f"K={draft_len}, i.i.d.")
            axes.plot(jobs["alpha"], jobs["calls/token"], "o", color=colour, label="measured")
        axes.set_title("Target calls per token by acceptance")
        axes.set_xlabel("Share of verified positions accepted (alpha)")
        axes.set_ylabel("Target calls per token")
        figure.legend(loc="outside right upper")


def main(folders: list[Path], out: Path = HERE) -> None:
    """Judge the sweeps in `folders` and write the files."""
    table = tabulate(folders)
    (out / "theory.md").write_text(as_markdown(table))
    draw(table, out / "calls_by_acceptance.png")
    print(as_markdown(table))


if __name__ == "__main__":
    main([Path(folder) for folder in sys.argv[1:]])
