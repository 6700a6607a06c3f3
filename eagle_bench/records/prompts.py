"""What was asked, beside what was answered."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from eagle_bench.records.atomic import write_text
from eagle_bench.records.jsonl import read_records

PROMPTS = "prompts.jsonl"


def write_prompts(folder: Path, prompts: Mapping[str, Sequence[str]]) -> None:
    """Keep the user's messages of each prompt, a line each: `prompt_id`, `turns`."""
    lines = (json.dumps({"prompt_id": name, "turns": turns}) for name, turns in prompts.items())
    write_text(folder / PROMPTS, "".join(f"{line}\n" for line in lines))


def read_prompts(folder: Path) -> dict[str, list[str]]:
    """The user's messages by prompt; lines that cannot be read are left out."""
    return {
        str(record["prompt_id"]): list(map(str, record["turns"]))
        for record in read_records(folder / PROMPTS).records
        if isinstance(record.get("turns"), list) and "prompt_id" in record
    }
