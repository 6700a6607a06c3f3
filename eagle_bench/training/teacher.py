"""What a head learns from: the target over generated conversations."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor
from transformers import AutoModelForCausalLM, AutoTokenizer

from eagle_bench.config.training import HeadTrainingConfig, TrainConfig
from eagle_bench.models.target import default_aux_layers
from eagle_bench.training.corpus import Packer
from eagle_bench.training.loop import Trainer


class Lesson(NamedTuple):
    """Rows of `seq` + 1 tokens, and what the target makes of the first `seq`.

    Attributes
    ----------
    ids : Tensor
        int64 `[batch, seq + 1]`.
    features : Tensor
        `[batch, seq, features]`.
    logits : Tensor
        `[batch, seq, vocab]`; those at index j draw token j + 1.
    weights : Tensor
        `[batch, seq]`, of these draws: 1 in answers, less in prompts.
    """

    ids: Tensor
    features: Tensor
    logits: Tensor
    weights: Tensor


class Teacher:
    """The target in `target_path`, in float32, and an endless corpus."""

    def __init__(
        self, run: TrainConfig, config: HeadTrainingConfig, target_path: str, device: str
    ) -> None:
        torch.manual_seed(run.seed)
        self.run, self.config, self.device = run, config, torch.device(device)
        self.model: Any = AutoModelForCausalLM.from_pretrained(target_path, dtype=torch.float32)
        self.model.to(self.device).requires_grad_(False)
        self.tokenizer = AutoTokenizer.from_pretrained(target_path).backend_tokenizer
        self.embed = self.model.get_input_embeddings()
        self.aux_layers = default_aux_layers(self.model.config.num_hidden_layers)

    def precision(self) -> torch.autocast:
        """What target and head compute in."""
        return torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=self.run.bf16)

    @torch.no_grad()
    def lesson(self, index: int, rows: int, seq_len: int) -> Lesson:
        """The lesson of the micro batch `index`."""
        packer = Packer(self.tokenizer, f"head {self.run.seed} {index}")
        ids, answers = packer.batch(rows, seq_len)
        ids, answers = ids.to(self.device), answers[:, 1:].to(self.device)
        seen = self.model(input_ids=ids[:, :-1], use_cache=False, output_hidden_states=True)
        features = torch.cat([seen.hidden_states[layer] for layer in self.aux_layers], dim=-1)
        weights = torch.where(answers, 1.0, self.config.prompt_weight)
        return Lesson(ids, features, seen.logits, weights)


def run_and_save(
    trainer: Trainer,
    run: TrainConfig,
    config: HeadTrainingConfig,
    save: Callable[[Any, Path], object],
) -> Trainer:
    """Train `trainer`'s head to the end of the budget and save it, its snapshots on the way."""
    head, folder = trainer.module, trainer.folder
    marks = {max(1, round(share * trainer.steps)) for share in config.snapshots}

    def snapshot(step: int) -> None:
        if step in marks:
            save(head, folder / f"step_{step}")

    trainer.snapshot = snapshot
    trainer.run(run.resume)
    save(head.to(torch.bfloat16), folder)
    return trainer
