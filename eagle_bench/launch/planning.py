"""What a command line asks for, composed as Hydra would, with nothing run and nothing written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hydra import initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.types import RunMode
from omegaconf import DictConfig

from eagle_bench.errors import UserError
from eagle_bench.launch import registry
from eagle_bench.launch.arguments import check_choices
from eagle_bench.launch.folders import job_settings
from eagle_bench.launch.multirun import FLAGS, with_flag_first
from eagle_bench.launch.sentences import sentences
from eagle_bench.launch.slurm import array_script
from eagle_bench.launch.sweep import grid_jobs


def composed(config_name: str, words: Sequence[str], mode: RunMode) -> DictConfig:
    """The settings that `words` lead to, Hydra's own among them, not validated.

    Raises
    ------
    UserError
        An argument is refused.
    """
    registry.register(config_name)
    with sentences(), initialize_config_dir(registry.CONF, version_base="1.3"):
        hydra = GlobalHydra.instance().hydra
        assert hydra is not None
        return hydra.compose_config(config_name, list(words), mode, with_log_configuration=False)


@dataclass(frozen=True)
class Asked:
    """What a command line would start.

    Attributes
    ----------
    jobs : dict
        The settings of each job, not yet validated, by the job's folder.
    script : str
        What SLURM would get; empty where the jobs run here.
    """

    jobs: dict[Path, DictConfig]
    script: str


def asked(config_name: str, words: Sequence[str]) -> Asked:
    """What a command line asks for; nothing is run and nothing written.

    Raises
    ------
    UserError
        An argument is refused, or a sweeper is named that chooses its jobs as it goes.
    """
    _, *words = with_flag_first(["eagle-bench plan", *words])
    arguments = [word for word in words if word not in FLAGS]
    alone = arguments == words
    check_choices(arguments)
    config = composed(config_name, arguments, RunMode.RUN if alone else RunMode.MULTIRUN)
    with sentences():
        if alone:
            return Asked({Path(config.hydra.run.dir): job_settings(config)}, "")
        with initialize_config_dir(registry.CONF, version_base="1.3"):
            jobs = grid_jobs(config)
        if not jobs:
            raise UserError("only the jobs of a grid are known before they run.")
        sweep = Path(config.hydra.sweep.dir)
        folders = {sweep / job.hydra.sweep.subdir: job_settings(job) for job in jobs}
        return Asked(folders, array_script(config, len(jobs)))
