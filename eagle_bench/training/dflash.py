"""Training a DFlash head: the blocks behind many places of a text at once."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn
from transformers import Qwen3Config

from eagle_bench.config.training import DFlashTrainingConfig, TrainConfig
from eagle_bench.drafters.heads.block import BlockConfig, BlockHead
from eagle_bench.drafters.heads.blocks import block_states, use_block_attention
from eagle_bench.drafters.heads.dflash import save_dflash
from eagle_bench.drafters.heads.ttt import soft_cross_entropy
from eagle_bench.training.corpus import PAD, token_id
from eagle_bench.training.loop import Figures, Trainer
from eagle_bench.training.teacher import Lesson, Teacher, run_and_save


def build(config: DFlashTrainingConfig, teacher: Teacher) -> BlockHead:
    """A fresh head for the teacher."""
    wide = teacher.model.config
    layers = Qwen3Config(
        hidden_size=wide.hidden_size,
        intermediate_size=config.intermediate_size,
        num_hidden_layers=config.num_layers,
        num_attention_heads=config.num_heads,
        num_key_value_heads=config.num_kv_heads,
        head_dim=wide.hidden_size // config.num_heads,
        vocab_size=wide.vocab_size,
        max_position_embeddings=wide.max_position_embeddings,
        rope_parameters={"rope_type": "default", "rope_theta": 10_000.0},
    )
    mask, aux = token_id(teacher.tokenizer, PAD), teacher.aux_layers
    shape = BlockConfig(layers, config.block_size, mask, aux, from_anchor=False)
    return BlockHead(shape, len(aux) * wide.hidden_size, None)


def roots_of(rows: int, seq_len: int, blocks: int, index: int) -> Tensor:
    """Where the blocks of the micro batch `index` begin: int64 `[rows, blocks at most]`, from 1."""
    order = torch.rand(rows, seq_len - 1, generator=torch.Generator().manual_seed(index))
    return 1 + order.argsort(1)[:, :blocks]


def block_loss(
    head: BlockHead, embed: nn.Module, lm_head: nn.Module, lesson: Lesson, roots: Tensor,
    step_decay: float,
) -> tuple[Tensor, Figures]:  # fmt: skip
    """Soft cross-entropy to the target, summed over a block's levels with weights that decay."""
    seq = lesson.features.shape[1]
    logits = lm_head(block_states(head, embed, lesson.ids, lesson.features, roots))
    places = roots[..., None] + torch.arange(logits.shape[2], device=roots.device)
    rows = torch.arange(len(roots), device=roots.device)[:, None, None]
    drawn = places.clamp(max=seq - 1)
    weights = lesson.weights[rows, drawn] * (places < seq)
    wanted = lesson.logits.float().softmax(-1)[rows, drawn]
    each = soft_cross_entropy(logits, wanted) * weights
    levels = each.sum((0, 1)) / weights.sum((0, 1))
    right = logits.argmax(-1) == lesson.logits.argmax(-1)[rows, drawn]
    figures = {
        f"accuracy_{level}": right[..., level][weights[..., level] == 1.0].float().mean().item()
        for level in range(len(levels))
    }
    decay = step_decay ** torch.arange(len(levels), device=roots.device)
    return (levels * decay).sum(), figures


def train_dflash(
    run: TrainConfig, config: DFlashTrainingConfig, target_path: str, device: str
) -> Trainer:
    """Train a head for the target in `target_path` and save it into `run.output_dir`."""
    teacher = Teacher(run, config, target_path, device)
    head = build(config, teacher).to(device)
    use_block_attention(head)
    lm_head = teacher.model.get_output_embeddings()

    def loss(index: int, rows: int, seq_len: int) -> tuple[Tensor, Figures]:
        roots = roots_of(rows, seq_len, config.blocks, index).to(device)
        with teacher.precision():
            lesson = teacher.lesson(index, rows, seq_len)
            return block_loss(head, teacher.embed, lm_head, lesson, roots, config.step_decay)

    return run_and_save(Trainer(config, head, loss, Path(run.output_dir)), run, config, save_dflash)
