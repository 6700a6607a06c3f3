"""Generation and round rows, to and from the files of a run folder."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any, TypeVar

import pandas as pd

from eagle_bench.records.atomic import replacing
from eagle_bench.records.jsonl import read_records
from eagle_bench.records.rows import GenerationRow, RoundRow

GENERATIONS = "generations.jsonl"
GENERATIONS_PARQUET = "generations.parquet"
ROUNDS = "rounds.jsonl"
ROUNDS_PARQUET = "rounds.parquet"
RETAKES = "retakes.jsonl"
RETAKEN_ROUNDS_PARQUET = "retaken_rounds.parquet"
PHASES_PARQUET = "phases.parquet"
PHASE_PREFIX = "phases_s."
NULLABLE = {
    **dict.fromkeys(
        (
            "energy_j",
            "cpu_s",
            "waited_s",
            "others_cores",
            "steal_s",
            "throttled_s",
            "pressure_s",
            "stalled_s",
        ),
        "float64",
    ),
    **dict.fromkeys(
        (
            "involuntary_switches",
            "gpu_sm_mhz",
            "gpu_power_state",
            "gpu_throttle_mask",
            "gpu_processes",
            "draft_calls",
            "peak_bytes",
        ),
        "Int64",
    ),
}
"""Types of the columns that may be null throughout."""

Row = TypeVar("Row", GenerationRow, RoundRow)
GenerationKey = tuple[str, int, str, int]
TakeKey = tuple[str, int, str, int, int]


def generation_key(row: GenerationRow | RoundRow) -> GenerationKey:
    """Name one generation: prompt, turn, arm, repeat."""
    return row.prompt_id, row.turn, row.arm, row.repeat


def take_key(row: GenerationRow | RoundRow) -> TakeKey:
    """Name one take of a generation: the generation's key and the take's number."""
    return row.prompt_id, row.turn, row.arm, row.repeat, row.take


def read_generations(folder: Path) -> tuple[list[GenerationRow], list[str]]:
    """Read the finished generations of a run, wherever it stopped.

    A generation that was measured twice (a resumed pair) counts once, as measured last.

    Returns
    -------
    rows : list[GenerationRow]
    faults : list[str]
        One sentence per unreadable line; such lines are skipped.
    """
    rows, faults = _read(folder / GENERATIONS, GenerationRow)
    return list({generation_key(row): row for row in rows}.values()), faults


def read_retakes(folder: Path) -> list[GenerationRow]:
    """Read the takes that do not count; while a run goes on, all but the first ones."""
    rows, _ = _read(folder / RETAKES, GenerationRow)
    return list({take_key(row): row for row in rows}.values())


def read_rounds(folder: Path) -> tuple[list[RoundRow], list[str]]:
    """Read the round rows of a running, interrupted or finished run, as `read_generations`."""
    if not (folder / ROUNDS).exists():
        return _read_rounds_parquet(folder / ROUNDS_PARQUET)
    rows, faults = _logged_rounds(folder)
    takes = {generation_key(row): row.take for row in read_generations(folder)[0]}
    return [row for row in rows if row.take == takes.get(generation_key(row), 0)], faults


def read_retaken_rounds(folder: Path) -> list[RoundRow]:
    """Read the rounds of the takes that `read_retakes` gives."""
    if not (folder / ROUNDS).exists():
        return _read_rounds_parquet(folder / RETAKEN_ROUNDS_PARQUET)[0]
    retaken = {take_key(row) for row in read_retakes(folder)}
    return [row for row in _logged_rounds(folder)[0] if take_key(row) in retaken]


def _logged_rounds(folder: Path) -> tuple[list[RoundRow], list[str]]:
    """The rounds of every take, each once, while a run goes on."""
    rows, faults = _read(folder / ROUNDS, RoundRow)
    return list({(take_key(row), row.round): row for row in rows}.values()), faults


def _read_rounds_parquet(path: Path) -> tuple[list[RoundRow], list[str]]:
    if not path.exists():
        return [], []
    try:
        frame = pd.read_parquet(path)
    except (OSError, ValueError) as error:
        return [], [f"{path} is corrupt or half-written: {error}"]
    return [_round_row(record) for record in frame.to_dict("records")], []


def generations_frame(rows: Sequence[GenerationRow]) -> pd.DataFrame:
    """Generation rows as a table with the field names of the metrics page."""
    frame = pd.DataFrame([asdict(r) for r in rows], columns=[f.name for f in fields(GenerationRow)])
    return frame.astype(NULLABLE)


def rounds_frame(rows: Sequence[RoundRow]) -> pd.DataFrame:
    """Round rows as a table; the phases of an instrumented run are columns `phases_s.NAME`."""
    flat = []
    for row in rows:
        record = asdict(row)
        phases = record.pop("phases_s")
        flat.append(record | {PHASE_PREFIX + phase: s for phase, s in phases.items()})
    names = [f.name for f in fields(RoundRow) if f.name != "phases_s"]
    phases = sorted({name for record in flat for name in record if name not in names})
    return pd.DataFrame(flat, columns=names + phases).astype({"seconds": "float64"})


def write_parquet(frame: pd.DataFrame, path: Path) -> None:
    """Replace `path` atomically."""
    with replacing(path) as temporary:
        frame.to_parquet(temporary, index=False)


def _read(path: Path, kind: type[Row]) -> tuple[list[Row], list[str]]:
    read = read_records(path)
    faults = [f"{path}:{number} is no JSON record" for number in read.bad_lines]
    rows: list[Row] = []
    for record, fault in _typed(read.records, kind):
        if record is None:
            faults.append(f"{path}: {fault}")
        else:
            rows.append(record)
    return rows, faults


def _typed(
    records: Iterable[Mapping[str, Any]], kind: type[Row]
) -> Iterable[tuple[Row | None, str]]:
    for record in records:
        try:
            yield kind(**record), ""
        except TypeError as error:
            yield None, f"a line is no {kind.__name__}: {error}"


def _round_row(record: dict[Any, Any]) -> RoundRow:
    phases = {
        name.removeprefix(PHASE_PREFIX): record.pop(name)
        for name in list(record)
        if name.startswith(PHASE_PREFIX)
    }
    seconds = record.pop("seconds", None)
    return RoundRow(
        **record,
        phases_s={k: s for k, s in phases.items() if pd.notna(s)},
        seconds=seconds if pd.notna(seconds) else None,
    )
