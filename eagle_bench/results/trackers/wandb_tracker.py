"""`tracker=wandb`: offline unless asked, and honest about it."""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, cast

import wandb

from eagle_bench.config.tracker import TrackerConfig
from eagle_bench.records.job import RESULT_FILE, Job
from eagle_bench.records.rowfiles import GENERATIONS_PARQUET, ROUNDS_PARQUET
from eagle_bench.records.scrub import scrub
from eagle_bench.results.tables.table import Table
from eagle_bench.results.trackers.curves import PREFIX, STEP, curve_point, run_name
from eagle_bench.results.trackers.servers import answers, give_up
from eagle_bench.results.trackers.tracker import JobRecord, Say, SweepRecord

Mode = Literal["online", "offline", "disabled"]

INIT_TIMEOUT_S = 20.0
FINISH_TIMEOUT_S = 120.0
OFFLINE_INSTEAD = "logging offline instead"
LOGS = "wandb/offline-run-*"
"""Where offline runs lie under a tracker's folder."""

REPORT = "report"
JOB_FILES = (RESULT_FILE, GENERATIONS_PARQUET, ROUNDS_PARQUET)


class WandbTracker:
    """One run per job, one report run per sweep; offline runs lie under `folder/wandb`."""

    def __init__(self, config: TrackerConfig, folder: Path, say: Say) -> None:
        self._config = config
        self._folder = folder
        self._say = say
        self._mode = cast(Mode, config.mode)
        if self._mode == "online":
            self._look_for_server()

    @property
    def place(self) -> str:
        config = self._config
        return str(scrub(f"wandb {self._mode} {config.uri} {config.entity}/{config.project}"))

    def log_job(self, record: JobRecord) -> None:
        """Log config, summary, the job's table, its pictures and its results."""
        job = record.job
        with self._run(
            id=_run_id(record.group, job.config_hash or job.folder.name),
            name=run_name(job),
            group=record.group,
            job_type=job.method or job.status,
            config=scrub(job.config) | {"provenance": scrub(job.provenance)},
            tags=_tags(job),
        ) as run:
            point = curve_point(job)
            if point:
                run.log(point)
            run.log({"results": _table(record.table), **_images(record.pictures)})
            run.log_artifact(_artifact(run, _results(job)))
            run.summary.update({"status": job.status, "reason": job.reason, **job.summary})
        if record.alone:
            self._tell_how_to_sync([f"{self._folder}/{LOGS}"])

    def log_sweep(self, record: SweepRecord) -> None:
        """Log a run of type `report`: curves by `gen_len`, table, pictures, everyone's results."""
        with self._run(
            id=_run_id(record.group, REPORT),
            name=f"{REPORT}-{record.group}",
            group=record.group,
            job_type=REPORT,
            config={"jobs": len(record.jobs)},
            tags=[],
        ) as run:
            for job in sorted(filter(_complete, record.jobs), key=_gen_len):
                run.log(curve_point(job))
            run.log({"sweep": _table(record.table), **_images(record.pictures)})
            files = {file.name: file for file in (*record.files, *record.pictures)}
            for job in record.jobs:
                files |= {f"jobs/{job.folder.name}/{name}": f for name, f in _results(job).items()}
            run.log_artifact(_artifact(run, files))
        self._tell_how_to_sync([f"{self._folder}/{LOGS}", f"{self._folder}/*/{LOGS}"])

    @contextmanager
    def _run(self, *, id: str, tags: Sequence[str], **settings: Any) -> Iterator[wandb.Run]:
        """One run from its start to its end, of which nothing is left in this process."""
        self._folder.mkdir(parents=True, exist_ok=True)
        for log in self._folder.glob(f"{LOGS}-{id}"):
            shutil.rmtree(log)
        settings |= {"id": id, "tags": [*self._config.tags, *tags]}
        try:
            with _staging_in(self._folder / "wandb"), self._start(settings) as run:
                run.define_metric(STEP)
                run.define_metric(f"{PREFIX}*", step_metric=STEP)
                yield run
        finally:
            if self._config.uri is not None:
                wandb.teardown()

    def _look_for_server(self) -> None:
        """Before anything is measured: is there a login, and does the server answer?"""
        server = wandb.setup(_settings(self._config.uri)).settings.base_url
        if not self._logged_in():
            self._fall_back(server, "no W&B login was found")
        elif not answers(server, OFFLINE_INSTEAD, self._say):
            self._mode = "offline"
        wandb.teardown()  # Its process would run beside what is measured.

    def _start(self, settings: dict[str, Any]) -> wandb.Run:
        try:
            return self._init(settings)
        except wandb.errors.Error as error:
            if self._mode != "online":
                raise
            server = wandb.setup().settings.base_url
            self._fall_back(server, str(error).partition("\n")[0])
            wandb.teardown()
            return self._init(settings)

    def _init(self, settings: dict[str, Any]) -> wandb.Run:
        return wandb.init(
            project=self._config.project,
            entity=self._config.entity,
            dir=str(self._folder),
            mode=self._mode,
            resume="allow" if self._mode == "online" else None,
            settings=_settings(self._config.uri),
            **settings,
        )

    def _logged_in(self) -> bool:
        """Whether there is a key; `login` would keep a `host` in the user's own settings file."""
        try:
            return wandb.login(prompt=False, verify=False)
        except wandb.errors.Error:
            return False

    def _fall_back(self, server: str, reason: str) -> None:
        give_up(server, f"W&B: {reason}; {OFFLINE_INSTEAD}.", self._say)
        self._mode = "offline"

    def _tell_how_to_sync(self, places: Iterable[str]) -> None:
        if self._mode == "offline":
            self._say(f"W&B is offline; upload with: wandb sync --yes {' '.join(places)}")


@contextmanager
def _staging_in(folder: Path) -> Iterator[None]:
    """W&B copies what it will upload to a folder that only a variable names; by default, home."""
    with_default = "WANDB_DATA_DIR" not in os.environ
    if with_default:
        os.environ["WANDB_DATA_DIR"] = str(folder.resolve())
    try:
        yield
    finally:
        if with_default:
            del os.environ["WANDB_DATA_DIR"]


def _settings(uri: str | None) -> wandb.Settings:
    """Quiet, and nothing about the machine: provenance tells what matters, without secrets."""
    settings = wandb.Settings(
        silent=True,
        console="off",
        init_timeout=INIT_TIMEOUT_S,
        finish_timeout=FINISH_TIMEOUT_S,
        disable_git=True,
        x_disable_meta=True,
        x_disable_stats=True,
        x_save_requirements=False,
        program=Path(sys.argv[0]).name,
    )
    if uri is not None:
        settings.base_url = uri
    return settings


def _run_id(group: str, name: str) -> str:
    """Stable in a sweep, so that a resumed job updates its run; new in the next sweep."""
    return hashlib.sha256(f"{group}/{name}".encode()).hexdigest()[:16]


def _tags(job: Job) -> list[str]:
    config = job.config
    named = [config.get(group, {}).get("name") for group in ("model", "drafter", "decoding")]
    device = job.provenance.get("device")
    return [tag[:64] for tag in [*named, device] if isinstance(tag, str) and tag]


def _table(table: Table) -> wandb.Table:
    columns: list[str | int] = [column.replace("\n", " ") for column in table.columns]
    rows: list[Any] = [[cell.replace("\n", " ") for cell in row.cells] for row in table.rows]
    return wandb.Table(columns=columns, data=rows)


def _images(pictures: Sequence[Path]) -> dict[str, wandb.Image]:
    return {f"pictures/{path.stem}": wandb.Image(str(path)) for path in pictures}


def _results(job: Job) -> dict[str, Path]:
    """The files that hold a job's figures and rows, as far as it got."""
    files = {name: job.folder / name for name in JOB_FILES}
    return {name: file for name, file in files.items() if file.is_file()}


def _artifact(run: wandb.Run, files: dict[str, Path]) -> wandb.Artifact:
    artifact = wandb.Artifact(f"results-{run.id}", type="results")
    for name, file in files.items():
        artifact.add_file(str(file), name=name)
    return artifact


def _complete(job: Job) -> bool:
    return job.complete


def _gen_len(job: Job) -> int:
    return int(job.summary["gen_len"])
