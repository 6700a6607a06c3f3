"""Our methods at an old commit and as they are here, on the embedded pair, in turn.

    python -m experiments.peers.versions [COMMIT] [PROMPTS] [REPEATS]

For each method one process of either code after the other, REPEATS times, which begins moves on.
Writes `versions.csv` beside this file, a line for each prompt, arm, code, method and repeat.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import pandas as pd

from experiments.checkouts import NOW, OLD, checkouts, run
from experiments.methods.measure import quotient

HERE = Path(__file__).parent
TREE = ("decoding=tree", "decoding.depth=6", "decoding.top_k=6", "decoding.num_draft_tokens=24")
METHODS: dict[str, tuple[str, ...]] = {
    "chain K=4": ("decoding=chain", "decoding.draft_len=4"),
    "adaptive": ("decoding=adaptive",),
    "tree 6x6/24": TREE,
}
COMPILED = "compile=draft"
ONLY_NOW = {f"{name}, {COMPILED}": (*METHODS[name], COMPILED) for name in ("chain K=4", "adaptive")}
ARMS = ("baseline", "speculative")


def measure(checkout: Path, prompts: int, arguments: tuple[str, ...]) -> pd.DataFrame:
    """Seconds of each prompt's two arms, measured by the code of `checkout`."""
    with tempfile.TemporaryDirectory() as folder:
        run(checkout, folder, f"num_samples={prompts}", *arguments)
        [path] = Path(folder).rglob("generations.jsonl")
        rows = pd.read_json(path, lines=True, dtype={"prompt_id": str})
    arm = rows["arm"].where(rows["arm"] == ARMS[0], ARMS[1])
    return rows[["prompt_id", "wall_s"]].assign(arm=arm)


def plan(repeats: int) -> list[tuple[str, str, int]]:
    """Method, code and repeat of every process, in order."""
    both = [
        (name, code, repeat)
        for repeat in range(repeats)
        for name in METHODS
        for code in ((NOW, OLD) if repeat % 2 else (OLD, NOW))
    ]
    return both + [(name, NOW, repeat) for repeat in range(repeats) for name in ONLY_NOW]


def tabulate(rows: pd.DataFrame) -> str:
    """Speedups of both codes, and how much faster either arm has become, for a README."""
    mean_s = rows.groupby(["prompt_id", "method", "code", "arm"])["wall_s"].mean()
    wall_s = mean_s.unstack(["method", "code", "arm"])
    lines = ["| method | before | now | baseline | drafter |", "|---|---:|---:|---:|---:|"]
    for name in [*METHODS, *ONLY_NOW]:
        table = wall_s[name].dropna(axis=1).copy()
        table.columns = [" ".join(column) for column in table.columns]
        cells = []
        for code in (OLD, NOW):
            pair = [f"{code} {arm}" for arm in ARMS]
            cells.append(_cell(table, *pair) if set(pair) <= set(table.columns) else "")
        for arm in ARMS:
            pair = [f"{code} {arm}" for code in (OLD, NOW)]
            cells.append(_cell(table, *pair) if set(pair) <= set(table.columns) else "")
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _cell(wall_s: pd.DataFrame, over: str, under: str) -> str:
    point, low, high = quotient(wall_s, over, under)
    return f"{point:.2f}x [{low:.2f}, {high:.2f}]"


def main(commit: str = "bb9d868", prompts: str = "80", repeats: str = "2") -> None:
    """Measure the plan, keep the rows, print the table."""
    found: list[pd.DataFrame] = []
    with checkouts(commit) as code:
        for name, which, repeat in plan(int(repeats)):
            rows = measure(code[which], int(prompts), (METHODS | ONLY_NOW)[name])
            found.append(rows.assign(method=name, code=which, repeat=repeat))
            pd.concat(found).to_csv(HERE / "versions.csv", index=False, float_format="%.6g")
    print(tabulate(pd.concat(found)))


if __name__ == "__main__":
    main(*sys.argv[1:])
