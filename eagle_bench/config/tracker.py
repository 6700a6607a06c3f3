"""The group `tracker`."""

from __future__ import annotations

from dataclasses import dataclass, field

from omegaconf import MISSING

from eagle_bench.errors import UserError

TRACKERS = ("wandb", "none", "tensorboard", "mlflow")
MODES = ("offline", "online", "disabled")
LONGEST_TAG = 64
"""Characters of a tag that W&B accepts."""


@dataclass
class TrackerConfig:
    """Where results go besides the disk.

    Attributes
    ----------
    project : str
        W&B's project, MLflow's experiment.
    entity : str or None
        W&B's user or team.
    mode : str
        Of W&B: offline, online or disabled.
    tags : list of str
        Of the runs in W&B.
    uri : str or None
        MLflow's server, TensorBoard's folder or W&B's host; null: a folder beside the results.
    """

    name: str = MISSING
    project: str = "eagle_bench"
    entity: str | None = None
    mode: str = "offline"
    tags: list[str] = field(default_factory=list)
    uri: str | None = None

    def __post_init__(self) -> None:
        if self.name not in TRACKERS:
            raise UserError(f"tracker={self.name} must be one of {', '.join(TRACKERS)}.")
        if self.mode not in MODES:
            raise UserError(f"tracker.mode={self.mode} must be one of {', '.join(MODES)}.")
        for tag in self.tags:
            if not 1 <= len(tag) <= LONGEST_TAG:
                raise UserError(
                    f"tracker.tags has {tag!r} of {len(tag)} characters; W&B takes 1 to "
                    f"{LONGEST_TAG}."
                )
