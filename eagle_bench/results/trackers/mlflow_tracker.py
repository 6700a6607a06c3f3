"""`tracker=mlflow`: a local store, or the server that `tracker.uri` names."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from eagle_bench.config.tracker import TrackerConfig
from eagle_bench.errors import UserError
from eagle_bench.records.scrub import scrub
from eagle_bench.results.flatten import flatten
from eagle_bench.results.tables.render import render_markdown
from eagle_bench.results.tables.table import Table
from eagle_bench.results.trackers.curves import STEP, curve_point, numbers, run_name
from eagle_bench.results.trackers.tracker import JobRecord, SweepRecord

try:
    import mlflow
except ImportError as error:
    raise UserError("tracker=mlflow needs MLflow: pip install 'eagle_bench[mlflow]'.") from error

MAX_PARAM = 500


class MlflowTracker:
    """One MLflow run per job, tagged with its sweep, and one for the report."""

    def __init__(self, config: TrackerConfig, folder: Path) -> None:
        self._config = config
        self._uri = config.uri or f"sqlite:///{(folder / 'mlflow.db').resolve()}"
        self._folder = folder

    @property
    def place(self) -> str:
        return str(scrub(f"mlflow {self._uri} {self._config.project}"))

    def log_job(self, record: JobRecord) -> None:
        """Log config as parameters, the summary's numbers as metrics, table and pictures."""
        job = record.job
        with self._run(run_name(job), record.group, job.method or job.status):
            settings = flatten(scrub(job.config))
            mlflow.log_params({key: str(value)[:MAX_PARAM] for key, value in settings.items()})
            mlflow.log_metrics(numbers(job) | curve_point(job), step=job.summary.get(STEP, 0))
            _log_files(record.table, [*record.pictures])

    def log_sweep(self, record: SweepRecord) -> None:
        """Log the sweep's curves with `gen_len` as step, its table, pictures and files."""
        with self._run(f"report-{record.group}", record.group, "report"):
            for job in record.jobs:
                if job.complete:
                    mlflow.log_metrics(curve_point(job), step=int(job.summary[STEP]))
            _log_files(record.table, [*record.pictures, *record.files])

    @contextmanager
    def _run(self, name: str, group: str, job_type: str) -> Iterator[None]:
        self._folder.mkdir(parents=True, exist_ok=True)
        tags = {"group": group, "job_type": job_type}
        tags |= dict.fromkeys(self._config.tags, "true")
        mlflow.set_tracking_uri(self._uri)
        self._make_local_experiment()
        mlflow.set_experiment(self._config.project)
        with mlflow.start_run(run_name=name, tags=tags):
            yield

    def _make_local_experiment(self) -> None:
        """Keep artifacts beside the local store; MLflow's default is the working directory."""
        project = self._config.project
        if self._config.uri is None and mlflow.get_experiment_by_name(project) is None:
            artifacts = (self._folder / "mlartifacts").resolve()
            mlflow.create_experiment(project, artifact_location=artifacts.as_uri())


def _log_files(table: Table, files: Sequence[Path]) -> None:
    mlflow.log_text(render_markdown(table), "table.md")
    for file in files:
        mlflow.log_artifact(str(file))
