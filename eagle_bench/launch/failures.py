"""A sweep's job that failed before it could say so itself leaves its reason on the disk."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

from hydra.core.utils import JobReturn, JobStatus
from hydra.experimental.callback import Callback
from omegaconf import DictConfig, OmegaConf

from eagle_bench.errors import RunFailure, UserError
from eagle_bench.records.job import RESULT_FILE
from eagle_bench.records.lock import FolderBusy
from eagle_bench.records.store import RunFolder


class FailureCallback(Callback):
    """Writes a failed `result.json` for settings that were refused and for unexpected errors."""

    def on_job_end(self, config: DictConfig, job_return: JobReturn, **_: Any) -> None:
        folder = Path(config.hydra.runtime.output_dir)
        error = job_return._return_value
        told = (folder / RESULT_FILE).exists() or isinstance(error, FolderBusy)
        if job_return.status is not JobStatus.FAILED or told:
            return
        reason = str(error) if isinstance(error, UserError) else f"{type(error).__name__}: {error}"
        settings = OmegaConf.to_container(job_return.cfg, enum_to_str=True)
        assert isinstance(settings, dict)
        with suppress(UserError, RunFailure), RunFolder(folder) as store:
            store.fail(reason, {str(key): value for key, value in settings.items()}, {})
