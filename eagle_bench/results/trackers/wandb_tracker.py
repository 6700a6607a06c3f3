"""`tracker=wandb`: offline unless asked, and honest about it."""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, cast

import wandb

from eagle_bench.config import TrackerConfig
from eagle_bench.results.job import Job
from eagle_bench.results.scrub import scrub
from eagle_bench.results.table import Table
from eagle_bench.results.trackers.curves import PREFIX, STEP, curve_point, run_name
from eagle_bench.results.trackers.tracker import JobRecord, Say, SweepRecord

Mode = Literal["online", "offline", "disabled"]

INIT_TIMEOUT_S = 20.0
FINISH_TIMEOUT_S = 120.0


class WandbTracker:
    """One run per job, one report run per sweep; offline runs lie under `folder/wandb`."""

    def __init__(self, config: TrackerConfig, folder: Path, say: Say) -> None:
        self._config = config
        self._folder = folder
        self._say = say
        self._mode = cast(Mode, config.mode)

    def log_job(self, record: JobRecord) -> None:
        """Log config, summary, the job's table and its pictures."""
        job = record.job
        with self._start(
            run_id=_run_id(record.group, job.config_hash or job.folder.name),
            name=run_name(job),
            group=record.group,
            job_type=job.method or job.status,
            config=scrub(job.config) | {"provenance": scrub(job.provenance)},
            tags=_tags(job),
        ) as run:
            point = curve_point(job)
            if point:
                run.log(point)
            run.log(_media(record.table, record.pictures))
            run.summary.update({"status": job.status, "reason": job.reason, **job.summary})
        self._tell_how_to_sync(run)

    def log_sweep(self, record: SweepRecord) -> None:
        """Log a run of type `report`: curves by `gen_len`, table, pictures, files."""
        with self._start(
            run_id=_run_id(record.group, "report"),
            name=f"report-{record.group}",
            group=record.group,
            job_type="report",
            config={"jobs": len(record.jobs)},
            tags=[],
        ) as run:
            for job in sorted(filter(_complete, record.jobs), key=_gen_len):
                run.log(curve_point(job))
            run.log(_media(record.table, record.pictures))
            artifact = wandb.Artifact(f"results-{run.id}", type="results")
            for file in [*record.files, *record.pictures]:
                artifact.add_file(str(file))
            run.log_artifact(artifact)
        self._tell_how_to_sync(run)

    def _start(
        self,
        *,
        run_id: str,
        name: str,
        group: str,
        job_type: str,
        config: dict[str, Any],
        tags: Sequence[str],
    ) -> wandb.Run:
        def start() -> wandb.Run:
            self._folder.mkdir(parents=True, exist_ok=True)
            return wandb.init(
                project=self._config.project,
                entity=self._config.entity,
                dir=str(self._folder),
                mode=self._mode,
                id=run_id,
                resume="allow" if self._mode == "online" else None,
                name=name,
                group=group,
                job_type=job_type,
                tags=[*self._config.tags, *tags],
                config=config,
                settings=_settings(self._config.uri),
            )

        if self._mode == "online" and not self._logged_in():
            self._fall_back("no W&B login was found")
        try:
            run = start()
        except wandb.errors.Error as error:
            if self._mode != "online":
                raise
            self._fall_back(scrub(str(error).partition("\n")[0]))
            run = start()
        run.define_metric(STEP)
        run.define_metric(f"{PREFIX}*", step_metric=STEP)
        return run

    def _logged_in(self) -> bool:
        try:
            wandb.setup(_settings(self._config.uri))
            return wandb.login(host=self._config.uri, prompt=False, verify=False)
        except wandb.errors.Error:
            return False

    def _fall_back(self, reason: str) -> None:
        wandb.teardown()
        self._mode = "offline"
        self._say(f"W&B: {reason}; logging offline instead.")

    def _tell_how_to_sync(self, run: wandb.Run) -> None:
        if self._mode == "offline":
            folder = os.path.relpath(run.settings.sync_dir)
            self._say(f"W&B run is offline; upload it with: wandb sync --yes {folder}")


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


def _media(table: Table, pictures: Sequence[Path]) -> dict[str, Any]:
    columns: list[str | int] = [column.replace("\n", " ") for column in table.columns]
    rows: list[Any] = [[cell.replace("\n", " ") for cell in row.cells] for row in table.rows]
    images = {f"pictures/{path.stem}": wandb.Image(str(path)) for path in pictures}
    return {"results": wandb.Table(columns=columns, data=rows), **images}


def _complete(job: Job) -> bool:
    return job.complete


def _gen_len(job: Job) -> int:
    return int(job.summary["gen_len"])
