"""Training an EAGLE-3 or P-EAGLE head by training-time test (`drafters/heads/ttt.py`)."""

from __future__ import annotations

from collections import Counter
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer
from torch import Tensor

from eagle_bench.config.training import Eagle3TrainingConfig, TrainConfig
from eagle_bench.drafters.heads.config import HeadConfig
from eagle_bench.drafters.heads.export import save_head
from eagle_bench.drafters.heads.head import EagleHead
from eagle_bench.drafters.heads.ttt import (
    draftable,
    soft_cross_entropy,
    ttt_hidden,
    use_ttt_attention,
)
from eagle_bench.training.corpus import PAD, tasks
from eagle_bench.training.loop import Figures, Trainer
from eagle_bench.training.teacher import Teacher, run_and_save


def draft_vocabulary(tokenizer: Tokenizer, size: int, seed: int, samples: int = 2000) -> Tensor:
    """The `size` most frequent tokens of generated answers, ascending, int64 `[size]`."""
    counts: Counter[int] = Counter(range(tokenizer.get_vocab_size()))
    for task in islice(tasks(f"draft vocabulary {seed}"), samples):
        for answer in task.answers:
            counts.update(tokenizer.encode(answer + "<|end|>").ids)
    return torch.tensor(sorted(token for token, _ in counts.most_common(size)))


def build(config: Eagle3TrainingConfig, target: Any, tokenizer: Tokenizer, seed: int) -> EagleHead:
    """A fresh head whose vocabulary is the most frequent answer tokens."""
    wide = target.config
    head = EagleHead(
        HeadConfig(
            hidden_size=wide.hidden_size,
            target_hidden_size=wide.hidden_size,
            num_heads=config.num_heads,
            num_kv_heads=config.num_kv_heads,
            head_dim=wide.hidden_size // config.num_heads,
            intermediate_size=config.intermediate_size,
            vocab_size=wide.vocab_size,
            draft_vocab_size=config.draft_vocab_size,
            num_layers=config.num_layers,
            mask_token=tokenizer.token_to_id(PAD) if config.parallel else None,
            max_positions=wide.max_position_embeddings,
        )
    )
    head.set_vocabulary(draft_vocabulary(tokenizer, config.draft_vocab_size, seed))
    return head


def ttt_loss(
    head: EagleHead,
    embeds: Tensor,
    features: Tensor,
    target_logits: Tensor,
    weights: Tensor,
    config: Eagle3TrainingConfig,
    slot: Tensor | None = None,
) -> tuple[Tensor, Figures]:
    """Soft cross-entropy to the target over the draft vocabulary, summed over TTT steps.

    `target_logits` `[batch, seq, vocab]` at index j draw token j + 1; `weights` `[batch, seq]`
    weigh them; `slot` is what `ttt_hidden` takes. Places whose best target token is outside the
    draft vocabulary do not count.
    """
    assert head.t2d is not None
    best = target_logits.argmax(-1)
    counted = weights * head.t2d[best]
    wanted = target_logits[..., draftable(head, features.device)].float().softmax(-1)
    total = features.new_zeros(())
    figures: Figures = {}
    states = ttt_hidden(head, embeds, features, config.ttt_length, slot)
    for step, hidden in enumerate(states):
        ahead = 1 + step
        logits = head.logits(hidden[:, :-ahead])
        here = counted[:, ahead:]
        each = soft_cross_entropy(logits, wanted[:, ahead:])
        total = total + config.step_decay**step * (each * here).sum() / here.sum()
        answers = weights[:, ahead:] == 1.0
        right = head.to_target(logits.argmax(-1)) == best[:, ahead:]
        figures[f"accuracy_{step}"] = right[answers].float().mean().item()
    return total, figures


def train_eagle3(
    run: TrainConfig, config: Eagle3TrainingConfig, target_path: str, device: str
) -> Trainer:
    """Train a head for the target in `target_path` and save it into `run.output_dir`."""
    teacher = Teacher(run, config, target_path, device)
    head = build(config, teacher.model, teacher.tokenizer, run.seed).to(device)
    use_ttt_attention(head)
    slot = head.mask_embeds(teacher.embed)

    def loss(index: int, rows: int, seq_len: int) -> tuple[Tensor, Figures]:
        with teacher.precision():
            lesson = teacher.lesson(index, rows, seq_len)
            return ttt_loss(
                head,
                teacher.embed(lesson.ids),
                lesson.features,
                lesson.logits,
                lesson.weights,
                config,
                slot,
            )

    trainer = Trainer(config, head, loss, Path(run.output_dir))
    return run_and_save(trainer, run, config, partial(save_head, layout=config.layout))
