"""Orders the prompts that ship: in each family, those whose baseline does not loop come first.

    python -m eagle_bench.run num_samples=80 gen_len=1000 stop=length tracker=none
    python experiments/embedded_pair/order.py RUN_FOLDER

Looks at the baseline's output alone. A prompt is held back when the text loops, by the measure of
the guard `loops`, at 50, 100, 200, 500 or 1000 tokens; otherwise a family keeps its order, and the
families take turns. Rewrites `prompts.jsonl` and prints how many each family has that do not loop.
"""

from __future__ import annotations

import json
import sys
from itertools import chain
from pathlib import Path

import eagle_bench
from eagle_bench.figures.guards import LOOP_UNIQUE_SHARE, unique_bigram_share

PROMPTS = Path(eagle_bench.__file__).parent / "assets" / "prompts.jsonl"
LENGTHS = (50, 100, 200, 500, 1000)


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
    held_back = looping(run)
    families: dict[str, list[tuple[bool, int, str]]] = {}
    for line in PROMPTS.read_text(encoding="utf-8").splitlines():
        prompt = json.loads(line)
        number = int(prompt["question_id"])
        place = str(number) in held_back, number, line
        families.setdefault(prompt["category"], []).append(place)
    for family, prompts in families.items():
        print(f"{family}: {sum(not loops for loops, *_ in prompts)} of {len(prompts)} do not loop")
    turns = zip(*map(sorted, families.values()), strict=True)
    lines = [line for _, _, line in chain.from_iterable(turns)]
    PROMPTS.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
