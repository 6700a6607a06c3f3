"""Which training a settings class asks for, refused before weights are read where it cannot be."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from eagle_bench.config.training import (
    MIN_LAYERS,
    DFlashTrainingConfig,
    Eagle3TrainingConfig,
    TargetTrainingConfig,
    TrainConfig,
)
from eagle_bench.errors import UserError
from eagle_bench.training.loop import Trainer


def train_as_asked(config: TrainConfig, device: str) -> Trainer:
    """Train what `config.training` names and save it into `config.output_dir`."""
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


def check_fits(training: Any) -> None:
    """Refuse what cannot be trained for the target that `training` names.

    Raises
    ------
    UserError
        No such layout of a head; the target cannot be read or does not fit.
    """
    if isinstance(training, Eagle3TrainingConfig):
        _check_layout(training)
    if (read := training.reads()) is not None:
        training.check(_read_target(*read))


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
