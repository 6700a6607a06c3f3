"""recipe.json: with what settings, data, software and machine some weights were made."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd

from eagle_bench.config.training import TrainConfig
from eagle_bench.config.values import plain
from eagle_bench.errors import UserError
from eagle_bench.machine.checkpoints import fingerprint
from eagle_bench.machine.provenance import capture
from eagle_bench.records.atomic import write_text
from eagle_bench.training.loop import Trainer

NAME = "recipe.json"
FINAL_ROWS = 5
SPEED_AND_PLACE = ("device", "threads", "resume", "output_dir")
HOUSEKEEPING = ("log_every", "save_every")
FOLDERS = ("target", "init", "data")
CONTENTS = ("*.safetensors", "*.jsonl.[gx]z")
VERSIONS = ("eagle_bench", "torch", "transformers", "tokenizers", "safetensors")


def begin(config: TrainConfig) -> None:
    """Write the settings into the output folder, or check that it is this training's.

    Raises
    ------
    UserError
        The folder holds the checkpoint of a training with other settings.
    """
    folder = Path(config.output_dir)
    wanted = settings(config)
    if config.resume and (folder / "checkpoint.pt").exists():
        _check_same(folder, wanted)
    write_text(folder / NAME, _document({"status": "running", "config": wanted}))


def finish(config: TrainConfig, trainer: Trainer, device: str) -> dict[str, Any]:
    """Write and return the whole recipe of a finished training.

    Returns
    -------
    dict
        `tokens` and `steps` trained on in `seconds`, `final` (means over the last logged
        rows), `parameters`, `weight_bytes`, and where it ran. No path of this machine.
    """
    training = plain(config)["training"]
    weights = list(trainer.module.parameters())
    tokens = trainer.tokens(trainer.steps)
    recipe = {
        "status": "complete",
        "config": settings(config),
        "sources": {
            name: _weights_of(Path(path)) for name in FOLDERS if (path := training.get(name))
        },
        "steps": trainer.steps,
        "tokens": tokens,
        "seconds": round(trainer.seconds, 1),
        "tokens_per_s": round(tokens / trainer.seconds, 1),
        "final": final(trainer),
        "parameters": sum(weight.numel() for weight in weights),
        "weight_bytes": sum(weight.numel() * weight.element_size() for weight in weights),
        **_where(device),
    }
    write_text(Path(config.output_dir) / NAME, _document(recipe))
    return recipe


def settings(config: TrainConfig) -> dict[str, Any]:
    """The settings without where and how fast it runs; of folders only their names."""
    values = {key: value for key, value in plain(config).items() if key not in SPEED_AND_PLACE}
    training = values["training"]
    for name in FOLDERS:
        if training.get(name):
            training[name] = Path(training[name]).name
    return values


def final(trainer: Trainer) -> dict[str, float]:
    """Means of each logged figure over the last rows that have it."""
    figures = pd.DataFrame(trainer.history).drop(columns=["step", "tokens", "seconds"])
    means = figures.tail(FINAL_ROWS).mean().dropna().round(4)
    return {str(name): float(value) for name, value in means.items()}


def _check_same(folder: Path, wanted: dict[str, Any]) -> None:
    try:
        found = json.loads((folder / NAME).read_text(encoding="utf-8"))["config"]
    except (OSError, ValueError, KeyError) as error:
        raise UserError(
            f"{folder} holds a checkpoint but no readable {NAME} that says of which training; "
            "use resume=false to start over, or another output_dir."
        ) from error
    before, now = _flat(found), _flat(wanted)
    changed = [key for key in now | before if now.get(key) != before.get(key)]
    if changed:
        key = changed[0]
        raise UserError(
            f"{folder} holds a training with {key}={before.get(key)}, not {now.get(key)}; use "
            "resume=false to start over, or another output_dir."
        )


def _flat(settings: dict[str, Any]) -> dict[str, Any]:
    training = {f"training.{key}": value for key, value in settings["training"].items()}
    flat = {key: value for key, value in settings.items() if key != "training"} | training
    return {key: flat[key] for key in flat if key.rpartition(".")[2] not in HOUSEKEEPING}


def _weights_of(folder: Path) -> dict[str, str]:
    inside = (file for pattern in CONTENTS for file in sorted(folder.glob(pattern)))
    files = [folder] if folder.is_file() else inside
    return {file.name: fingerprint(file) for file in files}


def _where(device: str) -> dict[str, Any]:
    seen = capture(device)
    return {
        "versions": {"python": seen["python"]}
        | {name: seen["versions"][name] for name in VERSIONS},
        "device": device,
        "cpu": seen["cpu"]["model"],
        "gpu": seen["gpu"]["name"] if seen["gpu"] else None,
        "threads": seen["threads"],
        "date": seen["timestamp"],
        "git": seen["git"],
    }


def _document(recipe: dict[str, Any]) -> str:
    return json.dumps(recipe, indent=2) + "\n"
