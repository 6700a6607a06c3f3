"""One training, from its settings to weights, curves and recipe in the output folder."""

from __future__ import annotations

import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from rich import box
from rich.console import Console
from rich.table import Table
from transformers.utils import logging

from eagle_bench.config.training import TrainConfig
from eagle_bench.models.load import resolve_device
from eagle_bench.training import recipe
from eagle_bench.training.build import check_fits, train_as_asked
from eagle_bench.training.curves import write_curves


def train(config: TrainConfig) -> dict[str, Any]:
    """Train as configured.

    Returns
    -------
    dict
        The recipe, as `recipe.json` holds it.

    Raises
    ------
    UserError
        What is asked for does not fit the target, this machine or the output folder.
    """
    training = config.training.found()
    check_fits(training)
    config = replace(config, training=training)
    logging.disable_progress_bar()
    warnings.filterwarnings("ignore", message="Mismatch dtype between input and weight")
    device = str(resolve_device(config.device))
    if config.threads is not None:
        torch.set_num_threads(config.threads)
    folder = Path(config.output_dir)
    folder.mkdir(parents=True, exist_ok=True)
    recipe.begin(config)
    trainer = train_as_asked(config, device)
    write_curves(trainer.history, folder)
    result = recipe.finish(config, trainer, device)
    _print_summary(config, result)
    return result


def _print_summary(config: TrainConfig, result: dict[str, Any]) -> None:
    console = Console()
    console.print(f"{config.training.name} in {config.output_dir}", soft_wrap=True)
    table = Table(box=box.SIMPLE_HEAD, show_header=False)
    table.add_column()
    table.add_column(justify="right")
    table.add_row("parameters", f"{result['parameters']:,}")
    table.add_row("weights", f"{result['weight_bytes'] / 1e6:.1f} MB")
    table.add_row("steps", f"{result['steps']:,}")
    table.add_row("tokens", f"{result['tokens']:,}")
    table.add_row("time", f"{result['seconds']:.0f} s ({result['tokens_per_s']:,.0f} tokens/s)")
    for name, value in result["final"].items():
        table.add_row(
            name.replace("_", " "), f"{value:.1%}" if "accuracy" in name else f"{value:.3f}"
        )
    console.print(table)
