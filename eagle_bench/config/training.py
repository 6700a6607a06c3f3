"""Settings of `python -m eagle_bench.train`. Imports no torch."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Self

from omegaconf import MISSING

from eagle_bench.config import training as t
from eagle_bench.config.model import ModelConfig
from eagle_bench.config.values import at_least, check_place, within
from eagle_bench.errors import UserError

MIN_LAYERS = 7
"""With fewer, EAGLE-3's three feature layers (2, the middle, third from the end) collide."""

MIN_VOCABULARY = 260
"""Every byte, and the four special tokens."""


@dataclass
class Phase:
    """A stretch of training at one sequence length: `share` of all tokens."""

    seq_len: int = 256
    share: float = 1.0


def check_heads(hidden_size: int, num_heads: int, num_kv_heads: int) -> None:
    """Raise `UserError` unless the attention's shapes work out."""
    at_least("training.num_heads", num_heads, 1)
    at_least("training.num_kv_heads", num_kv_heads, 1)
    if hidden_size % (2 * num_heads) or num_heads % num_kv_heads:
        raise UserError(
            f"training.num_heads={num_heads} with num_kv_heads={num_kv_heads} does not fit a "
            f"hidden size of {hidden_size}: heads must be a multiple of kv heads, and the "
            "size of a head, hidden size / heads, must be even."
        )


def check_positions(phases: list[Phase], max_positions: int) -> None:
    """Raise `UserError` when a phase is longer than the target's positions."""
    longest = max(phase.seq_len for phase in phases)
    if longest > max_positions:
        raise UserError(
            f"training.phases: seq_len={longest} is beyond the target's {max_positions} positions."
        )


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
        for name in ("tokens", "batch_tokens", "micro_tokens", "log_every", "save_every"):
            at_least(f"training.{name}", getattr(self, name), 1)
        for phase in self.phases:
            at_least("training.phases: seq_len", phase.seq_len, 2)
        if len(self.betas) != 2 or not all(0.0 <= beta < 1.0 for beta in self.betas):
            raise UserError(f"training.betas={self.betas} must be two numbers in [0, 1).")
        total = sum(phase.share for phase in self.phases)
        if abs(total - 1.0) > 1e-6:
            raise UserError(f"training.phases: the shares add up to {total}, they must make 1.")

    def found(self) -> Self:
        """The same with names of what ships or is installed as folders."""
        return self

    def reads(self) -> tuple[str, str] | None:
        """Setting and folder of the target that must fit, one of our own corpus."""
        return None

    def check(self, target: Any) -> None:
        """Raise `UserError` where the transformers config of that target does not fit."""


@dataclass
class TargetTrainingConfig(TrainingConfig):
    """A Llama-shaped target on the generated instruction corpus.

    `init` is the folder of a target to go on from, with its tokenizer and width; it grows to
    `num_layers` by layers that begin as the identity.
    With `copy_circuit` a fresh model starts with a circuit that copies from its context, and
    `copy_share` of the rows are copy drills (random tokens that repeat) that keep it general.
    """

    min_layers: ClassVar[int] = MIN_LAYERS

    vocab_size: int = 768
    hidden_size: int = 128
    intermediate_size: int = 384
    num_layers: int = 24
    num_heads: int = 4
    num_kv_heads: int = 2
    max_positions: int = 2048
    rope_theta: float = 1_000_000.0
    prompt_weight: float = 0.25
    copy_circuit: bool = True
    copy_share: float = 0.05
    init: str | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        at_least("training.num_layers", self.num_layers, self.min_layers)
        at_least("training.vocab_size", self.vocab_size, MIN_VOCABULARY)
        check_heads(self.hidden_size, self.num_heads, self.num_kv_heads)
        check_positions(self.phases, self.max_positions)
        if self.copy_circuit and self.init is None and self.num_kv_heads < 2:
            raise UserError(
                f"training.num_kv_heads={self.num_kv_heads}: the copy circuit needs 2; use "
                "training.copy_circuit=false."
            )
        within("training.copy_share", self.copy_share, "[0, 1)")

    def reads(self) -> tuple[str, str] | None:
        return None if self.init is None else ("training.init", self.init)

    def check(self, target: Any) -> None:
        if target.num_hidden_layers > self.num_layers:
            raise UserError(
                f"training.init={self.init} has {target.num_hidden_layers} layers, more than "
                f"training.num_layers={self.num_layers}; a target can only grow."
            )


@dataclass
class DraftModelTrainingConfig(TargetTrainingConfig):
    """A draft model: a target's little sibling on the same corpus, with the same tokenizer."""

    min_layers: ClassVar[int] = 2


@dataclass
class HeadTrainingConfig(TrainingConfig):
    """A head for `target` (null: the embedded one).

    `num_layers`, `num_heads`, `num_kv_heads`, `intermediate_size` and `prompt_weight` are for the
    generated corpus; `step_decay` is the weight of each drafted token after the first.
    `snapshots` are shares of the budget at which the head is also saved as it is then.
    """

    target: str | None = None
    step_decay: float = 0.8
    num_layers: int = 1
    intermediate_size: int = 384
    num_heads: int = 4
    num_kv_heads: int = 2
    prompt_weight: float = 0.1
    snapshots: list[float] = field(default_factory=list)

    @property
    def drafted(self) -> int:
        """Tokens that it learns to draft."""
        raise NotImplementedError

    def __post_init__(self) -> None:
        super().__post_init__()
        at_least("training.num_layers", self.num_layers, 1)
        for phase in self.phases:
            at_least("training.phases: seq_len", phase.seq_len, self.drafted + 1)
        if not all(0.0 < share <= 1.0 for share in self.snapshots):
            raise UserError(f"training.snapshots={self.snapshots} must be shares in (0, 1].")

    def found(self) -> Self:
        name = self.target or "embedded"
        return replace(self, target=ModelConfig(name=name).checkpoint() or name)

    def reads(self) -> tuple[str, str] | None:
        return None if self.target is None else ("training.target", self.target)

    def check(self, target: Any) -> None:
        check_heads(target.hidden_size, self.num_heads, self.num_kv_heads)
        check_positions(self.phases, target.max_position_embeddings)


@dataclass
class Eagle3TrainingConfig(HeadTrainingConfig):
    """An EAGLE-3 head, by training-time test.

    With `data`, answers of the target as token ids (a file or folder of `*.jsonl.gz` or `.xz` with
    `prompt_ids` and `answer`, or `self`: it first writes `answer_tokens` of them, none to a
    prompt that quotes one of the files `unseen`), `target` is any decoder (folder, GGUF file,
    hub id or `smollm2`), and the head has its shapes.
    """

    parallel: ClassVar[bool] = False
    """Whether all draft steps after the first read slots instead of the head's own output."""

    data: str | None = None
    answer_tokens: int = 1_000_000
    unseen: list[str] = field(default_factory=list)
    ttt_length: int = 7
    draft_vocab_size: int = 512
    layout: str = "safeailab"

    @property
    def drafted(self) -> int:
        return self.ttt_length

    def __post_init__(self) -> None:
        at_least("training.ttt_length", self.ttt_length, 1)
        super().__post_init__()
        at_least("training.draft_vocab_size", self.draft_vocab_size, 1)
        at_least("training.answer_tokens", self.answer_tokens, 1)

    def reads(self) -> tuple[str, str] | None:
        return super().reads() if self.data is None else None

    def check(self, target: Any) -> None:
        if self.draft_vocab_size > target.vocab_size:
            raise UserError(
                f"training.draft_vocab_size={self.draft_vocab_size} is larger than the target's "
                f"vocabulary of {target.vocab_size}."
            )
        super().check(target)


@dataclass
class PEagleTrainingConfig(Eagle3TrainingConfig):
    """A P-EAGLE head, on the generated corpus; its slots hold the target's padding token."""

    parallel: ClassVar[bool] = True

    num_layers: int = 2
    layout: str = "specforge"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.data is not None:
            raise UserError(
                "training=p_eagle learns from the generated corpus; leave training.data out."
            )


@dataclass
class DFlashTrainingConfig(HeadTrainingConfig):
    """A DFlash head, on the generated corpus; its masks are the target's padding token.

    Of each row `blocks` places, drawn anew, begin a block (all of them, if the row has fewer).
    """

    num_layers: int = 2
    block_size: int = 8
    blocks: int = 128

    @property
    def drafted(self) -> int:
        return self.block_size - 1

    def __post_init__(self) -> None:
        at_least("training.block_size", self.block_size, 2)
        at_least("training.blocks", self.blocks, 1)
        super().__post_init__()


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

    def __post_init__(self) -> None:
        check_place(self.seed, self.device, self.threads)


TRAININGS: dict[str, type[t.TrainingConfig]] = {
    "target": t.TargetTrainingConfig,
    "draft_model": t.DraftModelTrainingConfig,
    "eagle3": t.Eagle3TrainingConfig,
    "p_eagle": t.PEagleTrainingConfig,
    "dflash": t.DFlashTrainingConfig,
}
