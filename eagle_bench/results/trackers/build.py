"""Picks the tracker that the config names."""

from __future__ import annotations

from pathlib import Path

from eagle_bench.config.tracker import TrackerConfig
from eagle_bench.results.trackers.tracker import Say, Tracker


def make_tracker(config: TrackerConfig, folder: Path, say: Say) -> Tracker:
    """Pick the tracker that the config names.

    Parameters
    ----------
    config : TrackerConfig
        The group `tracker`.
    folder : Path
        Where trackers that write locally put their files.
    say : callable
        Shows the user one line.

    Raises
    ------
    UserError
        Its library is not installed.
    """
    if config.name == "wandb":
        from eagle_bench.results.trackers.wandb_tracker import WandbTracker

        return WandbTracker(config, folder, say)
    if config.name == "tensorboard":
        from eagle_bench.results.trackers.tensorboard_tracker import TensorboardTracker

        return TensorboardTracker(config, folder, say)
    if config.name == "mlflow":
        from eagle_bench.results.trackers.mlflow_tracker import MlflowTracker

        return MlflowTracker(config, folder, say)
    from eagle_bench.results.trackers.no_tracker import NoTracker

    return NoTracker()
