"""What Hydra writes down of a command line, without its secrets."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml
from hydra.core.utils import JobReturn
from hydra.experimental.callback import Callback
from hydra.types import RunMode
from omegaconf import DictConfig

from eagle_bench.errors import RunFailure
from eagle_bench.records.atomic import write_text
from eagle_bench.records.scrub import scrub

MULTIRUN = "multirun.yaml"


class SecretsCallback(Callback):
    """Hides them once Hydra has written its records, before the job starts."""

    def on_job_start(self, config: DictConfig, **_: Any) -> None:
        hydra = config.hydra
        hide_secrets(Path(hydra.runtime.output_dir, hydra.output_subdir).glob("*.yaml"))
        if hydra.mode is RunMode.MULTIRUN and hydra.job.num == 0:
            hide_secrets(Path(hydra.sweep.dir).glob(MULTIRUN))

    def on_job_end(self, config: DictConfig, job_return: JobReturn, **_: Any) -> None:
        job_return.overrides = scrub(job_return.overrides)  # Hydra prints those of a failed job.


def hide_secrets(records: Iterable[Path]) -> None:
    """Rewrite those of the YAML files that hold a secret.

    One that a full disk cut off, or leaves no room to rewrite, goes: no record is better than one
    with a secret.
    """
    for path in records:
        try:
            said = yaml.safe_load(path.read_text(encoding="utf-8"))
            hidden = scrub(said)
            if hidden != said:
                write_text(path, yaml.safe_dump(hidden, sort_keys=False))
        except (RunFailure, yaml.YAMLError):
            path.unlink()
