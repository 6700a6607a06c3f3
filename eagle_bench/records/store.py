"""The writing side of a run folder."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np

from eagle_bench.errors import UserError
from eagle_bench.records.atomic import write_text
from eagle_bench.records.attempts import ATTEMPTS, Attempt, read_attempts, refuse_others
from eagle_bench.records.identity import config_hash
from eagle_bench.records.job import (
    RESULT_FILE,
    SCHEMA_VERSION,
    Job,
    OtherSchema,
    UnreadableResult,
    read_job,
)
from eagle_bench.records.jsonl import JsonLines
from eagle_bench.records.lock import FolderLock
from eagle_bench.records.prompts import write_prompts
from eagle_bench.records.rowfiles import (
    GENERATIONS,
    GENERATIONS_PARQUET,
    PHASES_PARQUET,
    RETAKEN_ROUNDS_PARQUET,
    RETAKES,
    ROUNDS,
    ROUNDS_PARQUET,
    generations_frame,
    read_generations,
    read_retaken_rounds,
    read_retakes,
    read_rounds,
    rounds_frame,
    write_parquet,
)
from eagle_bench.records.rows import GenerationRow, RoundRow
from eagle_bench.records.scrub import scrub

DIFF_FILE = "git.diff"


class RunFolder:
    """The folder of one job, held by one process at a time.

    Rows are on the disk as soon as they are appended. `result.json` is written last and in
    one piece: where it says complete, every other file is whole. Close the folder, or use it
    in a `with` block, to let another process in.

    Parameters
    ----------
    path : Path
        Made when it is not there; rows of an interrupted run are kept.

    Raises
    ------
    UserError
        The folder cannot be made or written, or another process works in it.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UserError(f"Cannot make output folder {self.path}: {error.strerror}.") from error
        self._lock = FolderLock(self.path)
        self._generations = JsonLines(self.path / GENERATIONS)
        self._rounds: JsonLines | None = None
        self._retakes: JsonLines | None = None

    def begin(self, attempt: Attempt) -> list[Attempt]:
        """Note that this process measures here; who measured the rows that are here already.

        Raises
        ------
        UserError
            Those rows are of other settings, checkpoints or prompts.
        """
        earlier = read_attempts(self.path) if self.read_rows() else []
        refuse_others(earlier, attempt, self.path)
        known = [asdict(each) for each in (*earlier, attempt)]
        lines = "".join(json.dumps(_plain(scrub(each))) + "\n" for each in known)
        write_text(self.path / ATTEMPTS, lines)
        return earlier

    def attempts(self) -> list[Attempt]:
        """Who measured here, the earliest first."""
        return read_attempts(self.path)

    def append(self, row: GenerationRow) -> None:
        """Put one finished generation on the disk. Append its rounds first."""
        if row.take == 0:
            self._generations.append([asdict(row)])
            return
        if self._retakes is None:
            self._retakes = JsonLines(self.path / RETAKES)
        self._retakes.append([asdict(row)])

    def settle(self, counting: Sequence[GenerationRow], others: Sequence[GenerationRow]) -> None:
        """Let `counting` be the job's rows and `others` its retakes; none is lost on the way."""
        self._generations.close()
        if self._retakes is not None:
            self._retakes.close()
            self._retakes = None
        if others:
            _write_rows([*others, *counting], self.path / RETAKES)
        _write_rows(counting, self.path / GENERATIONS)
        if others:
            _write_rows(others, self.path / RETAKES)

    def append_rounds(self, rows: Sequence[RoundRow]) -> None:
        """Put the rounds of one generation on the disk."""
        if self._rounds is None:
            self._rounds = JsonLines(self.path / ROUNDS)
        self._rounds.append(map(asdict, rows))

    def write_prompts(self, prompts: Mapping[str, Sequence[str]]) -> None:
        """Keep what was asked, the user's messages by prompt, for the report."""
        write_prompts(self.path, prompts)

    def write_diff(self, diff: str) -> None:
        """Keep what was not committed in the checkout that measured."""
        write_text(self.path / DIFF_FILE, scrub(diff))

    def write_phases(self, rows: Sequence[RoundRow]) -> None:
        """Put the rounds of the instrumented pass beside those of the timed one."""
        write_parquet(rounds_frame(rows), self.path / PHASES_PARQUET)

    def read_rows(self) -> list[GenerationRow]:
        """Every finished generation, each once; lines that a fault made unreadable are not."""
        return read_generations(self.path)[0]

    def read_rounds(self) -> list[RoundRow]:
        """The rounds of all generations, each once."""
        return read_rounds(self.path)[0]

    def read_retakes(self) -> tuple[list[GenerationRow], list[RoundRow]]:
        """The takes that do not count, and their rounds; before `settle` all but the first."""
        return read_retakes(self.path), read_retaken_rounds(self.path)

    def complete_result(self, config_hash: str) -> Job | None:
        """The complete result of the job with this identity, None when it is still to be made.

        Raises
        ------
        UserError
            The result here was written by another version of eagle_bench.
        """
        try:
            job = read_job(self.path)
        except OtherSchema as error:
            raise UserError(f"{error}; resume=false measures into a folder of its own.") from error
        except UnreadableResult:
            return None
        return job if job.complete and job.config_hash == config_hash else None

    def finish(
        self,
        summary: Mapping[str, Any],
        config: Mapping[str, Any],
        provenance: Mapping[str, Any],
        status: str = "complete",
    ) -> Job:
        """Write `generations.parquet`, `rounds.parquet` and, last, `result.json`.

        Nothing can be appended afterwards.

        Parameters
        ----------
        summary : Mapping
            Section 8 of the metrics page; numbers that are not finite become null.
        config : Mapping
            The resolved config as plain data.
        provenance : Mapping
            What ran where.
        """
        job = Job(
            self.path,
            status,
            config=scrub(config),
            summary=_plain(summary),
            provenance=scrub(provenance),
            config_hash=config_hash(config),
        )
        rows = self.read_rows()
        self._generations.close()
        _write_rows(rows, self.path / GENERATIONS)
        write_parquet(generations_frame(rows), self.path / GENERATIONS_PARQUET)
        write_parquet(rounds_frame(self.read_rounds()), self.path / ROUNDS_PARQUET)
        retakes, rounds = self.read_retakes()
        if retakes:
            write_parquet(rounds_frame(rounds), self.path / RETAKEN_ROUNDS_PARQUET)
        self._write_result(job)
        self._drop_rounds_log()
        return job

    def fail(self, reason: str, config: Mapping[str, Any], provenance: Mapping[str, Any]) -> Job:
        """Write a `result.json` that says why there are no figures; the rows stay."""
        job = Job(
            self.path,
            "failed",
            reason=scrub(reason),
            config=scrub(config),
            provenance=scrub(provenance),
            config_hash=config_hash(config),
        )
        self._write_result(job)
        return job

    def close(self) -> None:
        """Let the next process in."""
        self._generations.close()
        if self._rounds is not None:
            self._rounds.close()
        if self._retakes is not None:
            self._retakes.close()
        self._lock.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _write_result(self, job: Job) -> None:
        document = {
            "schema_version": SCHEMA_VERSION,
            "status": job.status,
            "reason": job.reason,
            "config_hash": job.config_hash,
            "config": job.config,
            "provenance": job.provenance,
            "summary": job.summary,
        }
        text = json.dumps(_plain(document), indent=2, ensure_ascii=False, allow_nan=False)
        write_text(self.path / RESULT_FILE, text + "\n")

    def _drop_rounds_log(self) -> None:
        if self._rounds is not None:
            self._rounds.close()
            self._rounds = None
        (self.path / ROUNDS).unlink(missing_ok=True)


def _write_rows(rows: Sequence[GenerationRow], path: Path) -> None:
    write_text(path, "".join(json.dumps(asdict(row)) + "\n" for row in rows))


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, np.generic):
        return _plain(value.item())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
