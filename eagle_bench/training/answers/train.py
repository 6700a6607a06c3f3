"""Training a head for any target on answers that the target wrote."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from eagle_bench.config.model import ModelConfig
from eagle_bench.config.training import Eagle3TrainingConfig, TrainConfig, check_positions
from eagle_bench.config.values import DType, Packing
from eagle_bench.drafters.heads.export import save_head
from eagle_bench.drafters.heads.ttt import draftable, use_ttt_attention
from eagle_bench.errors import UserError
from eagle_bench.models.load import load_model
from eagle_bench.models.target import EAGLE3_LAYERS, TargetSpec
from eagle_bench.training.answers.batches import Reader, batches
from eagle_bench.training.answers.exchange import Exchange, read_exchanges
from eagle_bench.training.answers.head import answer_loss, draft_vocabulary, from_target
from eagle_bench.training.answers.own import own_answers
from eagle_bench.training.loop import Figures, Trainer
from eagle_bench.training.teacher import run_and_save

SELF = "self"
"""`training.data` for answers that the target writes first."""


def train_on_answers(
    run: TrainConfig, config: Eagle3TrainingConfig, target_path: str, data: str, device: str
) -> Trainer:
    """Train a head on the answers in `data` and save it into `run.output_dir`.

    Raises
    ------
    UserError
        The target or the answers cannot be read, or do not belong together.
    """
    place = torch.device(device)
    settings = ModelConfig(name="training", path=target_path, packing=Packing.off)
    target: Any = load_model(settings, DType.float32, place, key="training.target")
    longest = max(phase.seq_len for phase in config.phases)
    folder = Path(run.output_dir)
    if data == SELF:
        room = min(longest, target.spec.max_positions)
        with torch.autocast(place.type, dtype=torch.bfloat16, enabled=run.bf16):
            exchanges = own_answers(
                target, folder / "answers", config.answer_tokens, config.unseen, room
            )
    else:
        exchanges = read_exchanges(Path(data))
    torch.manual_seed(run.seed)
    _check_fits(config, exchanges, target.spec, data)
    vocabulary = draft_vocabulary(exchanges, config.draft_vocab_size)
    head = from_target(target.model, vocabulary, target.spec.aux_layers)
    head.to(place)
    use_ttt_attention(head)
    output = target.lm_head.weight[draftable(head, place)]
    made = batches(exchanges, config.micro_tokens, longest, run.seed, place)
    if not made:
        raise UserError(
            f"training.data={data}: every exchange is longer than the {longest} tokens of "
            "training.phases; set a longer seq_len."
        )
    reader = Reader(target.model, target.spec.aux_layers, folder / "features")

    def loss(index: int, rows: int, seq_len: int) -> tuple[Tensor, Figures]:
        step, micro = divmod(index, 1000)
        which = (step * trainer.batch_shape(step)[0] + micro) % len(made)
        batch = made[which]
        with torch.autocast(place.type, dtype=torch.bfloat16, enabled=run.bf16):
            thoughts = reader.read(which, batch)
            embeds = F.pad(target.embed(batch.ids), (0, 0, 0, 1))
            return answer_loss(
                head, embeds, output, batch, thoughts, config.ttt_length, config.step_decay
            )

    trainer = Trainer(config, head, loss, folder)
    return run_and_save(trainer, run, config, partial(save_head, layout=config.layout))


def _check_fits(
    config: Eagle3TrainingConfig, exchanges: list[Exchange], spec: TargetSpec, data: str
) -> None:
    if not spec.aux_layers:
        raise UserError(
            f"training.target={spec.name} has {spec.num_layers} layers; EAGLE-3 needs at least "
            f"{EAGLE3_LAYERS}."
        )
    if config.draft_vocab_size > spec.vocab_size:
        raise UserError(
            f"training.draft_vocab_size={config.draft_vocab_size} is larger than the "
            f"target's vocabulary of {spec.vocab_size}."
        )
    largest = max(max(each.ids) for each in exchanges)
    if largest >= spec.vocab_size:
        raise UserError(
            f"training.data={data} holds the token {largest}, which {spec.name} with "
            f"{spec.vocab_size} tokens lacks: it was written by another model."
        )
    check_positions(config.phases, spec.max_positions)
