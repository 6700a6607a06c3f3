"""What scripts read in a `result.json` of bb9d868 stands under the same names today."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.commands.cli import QUICK, run, told

OLD_KEYS = Path(__file__).parent / "result_keys_of_bb9d868.txt"
"""Of a run with these settings, without its provenance, which is this machine's."""


def keys(value: Any, place: str = "") -> Iterator[str]:
    """Every key of a document by dotted name; `[]` is the first item of a list of records."""
    if isinstance(value, dict) and value:
        for name, inner in value.items():
            yield from keys(inner, f"{place}.{name}" if place else name)
    elif isinstance(value, list) and value and isinstance(value[0], dict):
        yield from keys(value[0], f"{place}[]")
    else:
        yield place


def test_no_key_of_an_old_result_is_gone(tmp_path: Path) -> None:
    assert run(tmp_path, *QUICK, "num_samples=2") == 0, told(tmp_path)
    [result] = tmp_path.rglob("result.json")
    assert set(OLD_KEYS.read_text().split("\n")) <= set(keys(json.loads(result.read_text())))
