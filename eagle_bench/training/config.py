"""Settings of `python -m eagle_bench.train`. Imports no torch."""

from __future__ import annotations

from dataclasses import dataclass, field

from omegaconf import MISSING

from eagle_bench.config import at_least
from eagle_bench.errors import UserError


@dataclass
class Phase:
    """A stretch of training at one sequence length: `share` of all tokens."""

    seq_len: int = 256
    share: float = 1.0


@dataclass
class TrainingConfig:
    """What target and head training have in common.

    `tokens` is the whole budget in positions trained on; `batch_tokens` one optimiser step;
    `micro_tokens` what one forward and backward holds at a time.
    """

    name: str = MISSING
    tokens: int = 1_000_000
    batch_tokens: int = 4096
    micro_tokens: int = 4096
    phases: list[Phase] = field(default_factory=lambda: [Phase()])
    learning_rate: float = 1e-3
    final_lr_share: float = 0.05
    warmup_share: float = 0.03
    weight_decay: float = 0.1
    betas: list[float] = field(default_factory=lambda: [0.9, 0.95])
    clip: float = 1.0
    log_every: int = 10
    save_every: int = 100

    def __post_init__(self) -> None:
        at_least("training.tokens", self.tokens, 1)
        at_least("training.batch_tokens", self.batch_tokens, 1)
        total = sum(phase.share for phase in self.phases)
        if abs(total - 1.0) > 1e-6:
            raise UserError(f"training.phases: the shares add up to {total}, they must make 1.")


@dataclass
class TargetTrainingConfig(TrainingConfig):
    """A Llama-shaped target on the generated instruction corpus.

    `init` is the folder of a target to go on from, with its tokenizer and shape.
    `copy_share` of the rows are copy drills: random tokens that repeat, which teach a small
    model to copy names and numbers from its prompt long before the corpus alone would.
    """

    vocab_size: int = 768
    hidden_size: int = 128
    intermediate_size: int = 384
    num_layers: int = 24
    num_heads: int = 4
    num_kv_heads: int = 2
    max_positions: int = 2048
    rope_theta: float = 10000.0
    prompt_weight: float = 0.25
    copy_share: float = 0.0
    init: str | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        at_least("training.num_layers", self.num_layers, 7)


@dataclass
class Eagle3TrainingConfig(TrainingConfig):
    """An EAGLE-3 head for `target` (null: the embedded one), by training-time test.

    `snapshots` are shares of the budget at which the head is also saved as it is then.
    """

    target: str | None = None
    ttt_length: int = 7
    step_decay: float = 0.8
    draft_vocab_size: int = 512
    intermediate_size: int = 384
    num_heads: int = 4
    num_kv_heads: int = 2
    prompt_weight: float = 0.1
    layout: str = "safeailab"
    snapshots: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__post_init__()
        at_least("training.ttt_length", self.ttt_length, 1)


@dataclass
class TrainConfig:
    """One training job."""

    training: TrainingConfig = MISSING
    seed: int = 0
    device: str = "auto"
    threads: int | None = None
    bf16: bool = True
    resume: bool = True
    output_dir: str = "outputs/train"
