"""`python -m eagle_bench.train training=NAME`: train a target, a draft model or a head."""

from __future__ import annotations

import warnings
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra.core.hydra_config import HydraConfig

from eagle_bench.config.model import ModelConfig
from eagle_bench.config.training import (
    MIN_LAYERS,
    DFlashTrainingConfig,
    Eagle3TrainingConfig,
    HeadTrainingConfig,
    TargetTrainingConfig,
    TrainConfig,
    check_heads,
    check_positions,
)
from eagle_bench.errors import UserError
from eagle_bench.launch.command import hydra_command

if TYPE_CHECKING:
    from eagle_bench.training.loop import Trainer


def train(config: TrainConfig) -> dict[str, Any]:
    """Train as configured and leave weights, curves and recipe in the output folder.

    Returns
    -------
    dict
        The recipe, as `recipe.json` holds it.

    Raises
    ------
    UserError
        What is asked for does not fit the target, this machine or the output folder.
    """
    import torch
    from transformers.utils import logging

    from eagle_bench.models.load import resolve_device
    from eagle_bench.training import recipe
    from eagle_bench.training.curves import write_curves

    if HydraConfig.initialized():
        config = replace(config, output_dir=HydraConfig.get().runtime.output_dir)
    config = replace(config, training=_with_paths(config.training))
    logging.disable_progress_bar()
    warnings.filterwarnings("ignore", message="Mismatch dtype between input and weight")
    device = str(resolve_device(config.device))
    if config.threads is not None:
        torch.set_num_threads(config.threads)
    folder = Path(config.output_dir)
    folder.mkdir(parents=True, exist_ok=True)
    recipe.begin(config)
    trainer = _train(config, device)
    write_curves(trainer.history, folder)
    result = recipe.finish(config, trainer, device)
    _print_summary(config, result)
    return result


def _with_paths(training: Any) -> Any:
    """The settings with their folders found and checked, the embedded target filled in."""
    match training:
        case HeadTrainingConfig():
            name = training.target or "embedded"
            training = replace(training, target=ModelConfig(name=name).checkpoint() or name)
            _check_head(training)
        case TargetTrainingConfig(init=str(init)):
            layers = _read_target("training.init", init).num_hidden_layers
            if layers > training.num_layers:
                raise UserError(
                    f"training.init={init} has {layers} layers, more than "
                    f"training.num_layers={training.num_layers}; a target can only grow."
                )
    return training


def _train(config: TrainConfig, device: str) -> Trainer:
    match config.training:
        case Eagle3TrainingConfig(target=str(target), data=str(data)) as training:
            from eagle_bench.training.answers.train import train_on_answers

            return train_on_answers(config, training, target, data, device)
        case Eagle3TrainingConfig(target=str(target)) as training:
            from eagle_bench.training.eagle3 import train_eagle3

            return train_eagle3(config, training, target, device)
        case DFlashTrainingConfig(target=str(target)) as training:
            from eagle_bench.training.dflash import train_dflash

            return train_dflash(config, training, target, device)
        case TargetTrainingConfig() as training:
            from eagle_bench.training.corpus import write_prompts
            from eagle_bench.training.target import train_target

            write_prompts(Path(config.output_dir) / "prompts.jsonl")
            return train_target(config, training, device)
    raise AssertionError(f"no training is named {config.training.name}")


def _check_head(training: HeadTrainingConfig) -> None:
    """Refuse what no head can be trained for, before any weights are read."""
    assert training.target is not None
    match training:
        case Eagle3TrainingConfig():
            _check_layout(training)
            if training.data is not None:
                return
    shape = _read_target("training.target", training.target)
    match training:
        case Eagle3TrainingConfig(draft_vocab_size=size) if size > shape.vocab_size:
            raise UserError(
                f"training.draft_vocab_size={size} is larger than the target's vocabulary of "
                f"{shape.vocab_size}."
            )
    check_heads(shape.hidden_size, training.num_heads, training.num_kv_heads)
    check_positions(training.phases, shape.max_position_embeddings)


def _check_layout(training: Eagle3TrainingConfig) -> None:
    from eagle_bench.drafters.heads.export import ARCHITECTURES, PARALLEL

    layouts = sorted(PARALLEL if training.parallel else set(ARCHITECTURES) - {"eagle1"})
    if training.layout not in layouts:
        raise UserError(
            f"training.layout={training.layout} is not known; use one of {', '.join(layouts)}."
        )


def _read_target(key: str, path: str) -> Any:
    """The target's transformers config; `key` is the setting that named the folder."""
    from transformers import AutoConfig, AutoTokenizer

    from eagle_bench.training.corpus import ASSISTANT, END, PAD, USER

    if not (Path(path) / "config.json").is_file():
        raise UserError(f"{key}={path} is not a target's folder: it has no config.json.")
    try:
        shape = AutoConfig.from_pretrained(path).get_text_config()
        vocabulary = AutoTokenizer.from_pretrained(path).get_vocab()
    except (OSError, ValueError) as error:
        reason = str(error).strip().splitlines()[0]
        raise UserError(f"{key}={path} cannot be read as a target: {reason}") from error
    if shape.num_hidden_layers < MIN_LAYERS:
        raise UserError(
            f"{key}={path} has {shape.num_hidden_layers} layers; EAGLE-3 needs at least "
            f"{MIN_LAYERS}."
        )
    missing = [token for token in (USER, ASSISTANT, END, PAD) if token not in vocabulary]
    if missing:
        raise UserError(
            f"{key}={path}: its tokenizer lacks {' '.join(missing)}; for a target that "
            "training=target did not make, training.data=FILE gives answers of its own."
        )
    return shape


def _print_summary(config: TrainConfig, result: dict[str, Any]) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table

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


main = hydra_command(train, "train")

if __name__ == "__main__":
    main()
