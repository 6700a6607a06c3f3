"""Picks the tracker that the config names."""

from __future__ import annotations

from pathlib import Path

from eagle_bench.config.tracker import TrackerConfig
from eagle_bench.results.trackers.careful import CarefulTracker
from eagle_bench.results.trackers.no_tracker import NoTracker
from eagle_bench.results.trackers.servers import answers
from eagle_bench.results.trackers.tracker import Say, Tracker


def make_tracker(config: TrackerConfig, folder: Path, say: Say) -> Tracker:
    """The tracker that the config names, made before anything is measured.

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
    if config.name == "none":
        return NoTracker()
    tracker = _named(config, folder, say)
    served = config.name == "mlflow" and (config.uri or "").startswith("http")
    if served and not answers(str(config.uri), "the results stay on disk", say):
        return NoTracker()
    return CarefulTracker(tracker, say)


def _named(config: TrackerConfig, folder: Path, say: Say) -> Tracker:
    if config.name == "wandb":
        from eagle_bench.results.trackers.wandb_tracker import WandbTracker

        return WandbTracker(config, folder, say)
    if config.name == "tensorboard":
        from eagle_bench.results.trackers.tensorboard_tracker import TensorboardTracker

        return TensorboardTracker(config, folder, say)
    from eagle_bench.results.trackers.mlflow_tracker import MlflowTracker

    return MlflowTracker(config, folder)
