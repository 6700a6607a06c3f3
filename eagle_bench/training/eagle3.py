"""Training an EAGLE-3 or P-EAGLE head by training-time test (`drafters/heads/ttt.py`)."""

from __future__ import annotations

from collections import Counter
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer
from torch import Tensor
from transformers import AutoModelForCausalLM, AutoTokenizer

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
from eagle_bench.models.target import default_aux_layers
from eagle_bench.training.corpus import PAD, Packer, tasks
from eagle_bench.training.loop import Figures, Trainer


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
    torch.manual_seed(run.seed)
    folder = Path(run.output_dir)
    target: Any = AutoModelForCausalLM.from_pretrained(target_path, dtype=torch.float32)
    target.to(device).requires_grad_(False)
    tokenizer = AutoTokenizer.from_pretrained(target_path).backend_tokenizer
    head = build(config, target, tokenizer, run.seed).to(device)
    use_ttt_attention(head)
    aux = default_aux_layers(target.config.num_hidden_layers)
    embed = target.get_input_embeddings()
    slot = head.mask_embeds(embed)

    def loss(index: int, rows: int, seq_len: int) -> tuple[Tensor, Figures]:
        ids, answers = Packer(tokenizer, f"head {run.seed} {index}").batch(rows, seq_len)
        ids, answers = ids.to(device), answers[:, 1:].to(device)
        with torch.autocast(torch.device(device).type, dtype=torch.bfloat16, enabled=run.bf16):
            with torch.no_grad():
                seen = target(input_ids=ids[:, :-1], use_cache=False, output_hidden_states=True)
                features = torch.cat([seen.hidden_states[layer] for layer in aux], dim=-1)
                embeds = embed(ids)
            weights = torch.where(answers, 1.0, config.prompt_weight)
            return ttt_loss(head, embeds, features, seen.logits, weights, config, slot)

    return run_and_save(Trainer(config, head, loss, folder), run, config)


def run_and_save(trainer: Trainer, run: TrainConfig, config: Eagle3TrainingConfig) -> Trainer:
    """Train `trainer`'s head to the end of the budget and save it, its snapshots on the way."""
    head, folder = trainer.module, trainer.folder
    assert isinstance(head, EagleHead)
    marks = {max(1, round(share * trainer.steps)) for share in config.snapshots}

    def snapshot(step: int) -> None:
        if step in marks:
            save_head(head, folder / f"step_{step}", config.layout)

    trainer.snapshot = snapshot
    trainer.run(run.resume)
    save_head(head.to(torch.bfloat16), folder, config.layout)
    return trainer
