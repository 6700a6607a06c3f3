"""Orders the prompts that ship: those come first whose baseline does not loop.

    python -m eagle_bench.run num_samples=80 gen_len=1000 stop=length tracker=none
    python experiments/embedded_pair/order.py RUN_FOLDER

Looks at the baseline's output alone. A prompt loops when its text does, by the measure of the guard
`loops`, at 50, 100, 200, 500 or 1000 tokens. In each family those that do not loop come first, the
families take turns, and the first eight of all that do not loop, a default run's, go to the front.
Rewrites `prompts.jsonl` and prints how many each family has that do not loop.
"""

from __future__ import annotations

import json
import sys
from itertools import chain
from pathlib import Path
from typing import Any

import eagle_bench
from eagle_bench.figures.guards import LOOP_UNIQUE_SHARE, unique_bigram_share

PROMPTS = Path(eagle_bench.__file__).parent / "assets" / "prompts.jsonl"
LENGTHS = (50, 100, 200, 500, 1000)
FRONT = 8
FAMILIES = ("arithmetic", "extract", "code", "table", "rewrite", "story", "sequence", "facts")
Prompt = dict[str, Any]


def looping(run: Path) -> set[str]:
    """Ids of the prompts whose baseline loops at one of the lengths."""
    rows = map(json.loads, (run / "generations.jsonl").read_text(encoding="utf-8").splitlines())
    return {
        row["prompt_id"]
        for row in rows
        if row["arm"] == "baseline"
        and any(unique_bigram_share(row["token_ids"][:n]) < LOOP_UNIQUE_SHARE for n in LENGTHS)
    }


def main(run: Path) -> None:
    """Rewrite the prompts in the order that the run's baseline gives."""
    loops = looping(run)
    prompts = [json.loads(line) for line in PROMPTS.read_text(encoding="utf-8").splitlines()]
    prompts.sort(key=lambda prompt: (_loops(prompt, loops), prompt["question_id"]))
    families: dict[str, list[Prompt]] = {name: [] for name in FAMILIES}
    for prompt in prompts:
        families[prompt["category"]].append(prompt)
    for name, own in families.items():
        print(f"{name}: {sum(not _loops(each, loops) for each in own)} of {len(own)} do not loop")
    turns = list(chain.from_iterable(zip(*families.values(), strict=True)))
    front = [prompt for prompt in turns if not _loops(prompt, loops)][:FRONT]
    ordered = front + [prompt for prompt in turns if prompt not in front]
    lines = [json.dumps(prompt, ensure_ascii=False) + "\n" for prompt in ordered]
    PROMPTS.write_text("".join(lines), encoding="utf-8")


def _loops(prompt: Prompt, loops: set[str]) -> bool:
    return str(prompt["question_id"]) in loops


if __name__ == "__main__":
    main(Path(sys.argv[1]))
