"""The optimiser's loop shared by both trainings: schedule, progress, checkpoints, curves."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import torch
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from torch import Tensor, nn

from eagle_bench.config.training import TrainingConfig
from eagle_bench.errors import RunFailure

Figures = dict[str, float]
Loss = Callable[[int, int, int], tuple[Tensor, Figures]]
"""`(step, rows, seq_len) -> (mean loss of a micro batch, figures to log)`."""


@dataclass
class Trainer:
    """Runs `loss` for the configured budget, resuming from `folder/checkpoint.pt`.

    Batches must depend on the step alone, so that a resumed training sees what an
    undisturbed one would have seen.
    """

    config: TrainingConfig
    module: nn.Module
    loss: Loss
    folder: Path
    snapshot: Callable[[int], None] = lambda step: None
    history: list[Figures] = field(default_factory=list)
    seconds: float = 0.0

    def __post_init__(self) -> None:
        decayed = [p for p in self.module.parameters() if p.requires_grad and p.ndim >= 2]
        plain = [p for p in self.module.parameters() if p.requires_grad and p.ndim < 2]
        self.optimizer = torch.optim.AdamW(
            [
                {"params": decayed, "weight_decay": self.config.weight_decay},
                {"params": plain, "weight_decay": 0.0},
            ],
            lr=self.config.learning_rate,
            betas=(self.config.betas[0], self.config.betas[1]),
            fused=True,
        )
        self.steps = max(1, self.config.tokens // self.config.batch_tokens)

    @property
    def checkpoint(self) -> Path:
        return self.folder / "checkpoint.pt"

    def seq_len(self, step: int) -> int:
        """The sequence length of the phase that `step` falls into."""
        done, edge = (step + 0.5) / self.steps, 0.0
        for phase in self.config.phases:
            edge += phase.share
            if done < edge:
                return phase.seq_len
        return self.config.phases[-1].seq_len

    def batch_shape(self, step: int) -> tuple[int, int, int]:
        """Micro batches of the step, and the rows and tokens per row of each."""
        seq_len = self.seq_len(step)
        rows = max(1, self.config.micro_tokens // seq_len)
        return max(1, round(self.config.batch_tokens / (rows * seq_len))), rows, seq_len

    def tokens(self, steps: int) -> int:
        """Positions trained on in the first `steps` steps."""
        return sum(math.prod(self.batch_shape(step)) for step in range(steps))

    def learning_rate(self, step: int) -> float:
        """Linear warm-up, then a cosine to `final_lr_share` of the peak."""
        warmup = max(1, round(self.config.warmup_share * self.steps))
        if step < warmup:
            return self.config.learning_rate * (step + 1) / warmup
        done = (step - warmup) / max(1, self.steps - warmup)
        floor = self.config.final_lr_share
        return self.config.learning_rate * (
            floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * done))
        )

    def run(self, resume: bool) -> None:
        """Train to the end of the budget, logging every `log_every` steps."""
        self.folder.mkdir(parents=True, exist_ok=True)
        start = self._load() if resume and self.checkpoint.exists() else 0
        lines = (json.dumps(row) + "\n" for row in self.history)
        (self.folder / "history.jsonl").write_text("".join(lines))
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
        )
        with Progress(*columns) as progress:
            bar = progress.add_task(self.config.name, total=self.steps, completed=start)
            for step in range(start, self.steps):
                began_s = time.perf_counter()
                figures = self.step(step)
                self.seconds += time.perf_counter() - began_s
                if not math.isfinite(figures["loss"]):
                    raise RunFailure(
                        f"The training diverged: the loss of step {step} is {figures['loss']}; "
                        "lower training.learning_rate."
                    )
                if step % self.config.log_every == 0 or step == self.steps - 1:
                    self._log(step, figures)
                    progress.update(bar, description=f"{self.config.name} {figures['loss']:.3f}")
                if (step + 1) % self.config.save_every == 0 or step == self.steps - 1:
                    self._save(step + 1)
                self.snapshot(step + 1)
                progress.advance(bar)

    def step(self, step: int) -> Figures:
        """One optimiser step over `batch_tokens`, in micro batches."""
        micros, rows, seq_len = self.batch_shape(step)
        for group in self.optimizer.param_groups:
            group["lr"] = self.learning_rate(step)
        totals: Figures = {}
        for micro in range(micros):
            loss, figures = self.loss(step * 1000 + micro, rows, seq_len)
            torch.autograd.backward(loss / micros)
            for key, value in {"loss": float(loss.detach()), **figures}.items():
                totals[key] = totals.get(key, 0.0) + value / micros
        trained = (p for p in self.module.parameters() if p.requires_grad)
        nn.utils.clip_grad_norm_(trained, self.config.clip)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        return totals

    def _log(self, step: int, figures: Figures) -> None:
        row = {"step": step, "tokens": self.tokens(step + 1)}
        seen = {name: value for name, value in figures.items() if not math.isnan(value)}
        self.history.append({**row, "seconds": self.seconds, **seen})
        with (self.folder / "history.jsonl").open("a") as file:
            file.write(json.dumps(self.history[-1]) + "\n")

    def _save(self, step: int) -> None:
        state = {
            "step": step,
            "module": self.module.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "history": self.history,
            "seconds": self.seconds,
        }
        partial = self.checkpoint.with_suffix(".partial")
        torch.save(state, partial)
        partial.replace(self.checkpoint)

    def _load(self) -> int:
        state = torch.load(self.checkpoint, map_location="cpu", weights_only=True)
        self.module.load_state_dict(state["module"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.history = state["history"]
        self.seconds = state["seconds"]
        return int(state["step"])
