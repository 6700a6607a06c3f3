"""`tracker=tensorboard`: event files beside the results."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from eagle_bench.config.tracker import TrackerConfig
from eagle_bench.errors import UserError
from eagle_bench.records.scrub import scrub
from eagle_bench.results.flatten import flatten
from eagle_bench.results.tables.render import render_markdown
from eagle_bench.results.tables.table import Table
from eagle_bench.results.trackers.curves import STEP, curve_point, numbers, run_name
from eagle_bench.results.trackers.tracker import JobRecord, Say, SweepRecord

try:
    from torch.utils.tensorboard.writer import SummaryWriter
except ImportError as error:
    raise UserError(
        "tracker=tensorboard needs TensorBoard: pip install 'eagle_bench[tensorboard]'."
    ) from error


class TensorboardTracker:
    """One event folder per job and one for the report, under `folder/tensorboard/GROUP`."""

    def __init__(self, config: TrackerConfig, folder: Path, say: Say) -> None:
        self._root = Path(config.uri) if config.uri else folder / "tensorboard"
        self._say = say

    @property
    def place(self) -> str:
        return f"tensorboard {self._root}"

    def log_job(self, record: JobRecord) -> None:
        """Log scalars with `gen_len` as the step, the config as text, pictures."""
        job = record.job
        name = f"{run_name(job)}-{job.config_hash or job.folder.name}"
        with SummaryWriter(str(self._root / record.group / name)) as writer:
            step = int(job.summary.get(STEP, 0))
            for figure, value in (numbers(job) | curve_point(job)).items():
                writer.add_scalar(figure, value, step)
            settings = flatten(scrub(job.config))
            text = "\n".join(f"    {key}: {value}" for key, value in settings.items())
            writer.add_text("config", text)
            _add_table(writer, record.table, record.pictures)
        self._say(f"TensorBoard: tensorboard --logdir {self._root}")

    def log_sweep(self, record: SweepRecord) -> None:
        """Log the sweep's curves by `gen_len`, its table and pictures."""
        with SummaryWriter(str(self._root / record.group / "report")) as writer:
            for job in record.jobs:
                for figure, value in curve_point(job).items():
                    writer.add_scalar(figure, value, int(job.summary[STEP]))
            _add_table(writer, record.table, record.pictures)


def _add_table(writer: SummaryWriter, table: Table, pictures: Sequence[Path]) -> None:
    from matplotlib.image import imread

    writer.add_text("results", render_markdown(table))
    for path in pictures:
        pixels = np.asarray(imread(path))
        writer.add_image(f"pictures/{path.stem}", pixels[..., :3], dataformats="HWC")
