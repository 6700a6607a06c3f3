"""A small Llama-shaped target trained from scratch on the generated corpus."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM

from eagle_bench.config.training import TargetTrainingConfig, TrainConfig
from eagle_bench.training.circuits import lay_copy_circuit
from eagle_bench.training.corpus import END, PAD, Packer, token_id
from eagle_bench.training.growth import grow
from eagle_bench.training.loop import Figures, Trainer
from eagle_bench.training.tokenizer import as_pretrained, train_tokenizer


def build(config: TargetTrainingConfig, eos: int, pad: int) -> LlamaForCausalLM:
    """A fresh model; projections into the residual stream start smaller with depth."""
    model = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=config.vocab_size,
            hidden_size=config.hidden_size,
            intermediate_size=config.intermediate_size,
            num_hidden_layers=config.num_layers,
            num_attention_heads=config.num_heads,
            num_key_value_heads=config.num_kv_heads,
            max_position_embeddings=config.max_positions,
            rope_parameters={"rope_type": "default", "rope_theta": config.rope_theta},
            tie_word_embeddings=True,
            bos_token_id=None,
            eos_token_id=eos,
            pad_token_id=pad,
        )
    )
    scale = 1 / math.sqrt(2 * config.num_layers)
    with torch.no_grad():
        for layer in model.model.layers:
            layer.self_attn.o_proj.weight.mul_(scale)
            layer.mlp.down_proj.weight.mul_(scale)
    if config.copy_circuit:
        lay_copy_circuit(model)
    return model


def train_target(run: TrainConfig, config: TargetTrainingConfig, device: str) -> Trainer:
    """Train and save an ordinary HF folder, weights in bfloat16, into `run.output_dir`."""
    torch.manual_seed(run.seed)
    folder = Path(run.output_dir)
    model: Any
    if config.init is None:
        tokenizer = train_tokenizer(config.vocab_size, run.seed)
        model = build(config, token_id(tokenizer, END), token_id(tokenizer, PAD))
    else:
        tokenizer = AutoTokenizer.from_pretrained(config.init).backend_tokenizer
        model = LlamaForCausalLM.from_pretrained(config.init, dtype=torch.float32)
        model = grow(model, config.num_layers)
    model.to(device)

    def loss(index: int, rows: int, seq_len: int) -> tuple[Tensor, Figures]:
        key = f"{run.seed} {index}"
        packer = Packer(tokenizer, key)
        ids, answers, drills = packer.drilled(rows, seq_len, config.copy_share, key)
        ids, answers, drills = ids.to(device), answers[:, 1:].to(device), drills[:, 1:].to(device)
        with torch.autocast(torch.device(device).type, dtype=torch.bfloat16, enabled=run.bf16):
            logits = model(input_ids=ids[:, :-1], use_cache=False).logits
        labels = ids[:, 1:]
        each = F.cross_entropy(logits.float().transpose(1, 2), labels, reduction="none")
        weights = torch.where(answers, 1.0, config.prompt_weight)
        drill_rows = drills.any(1, keepdim=True)
        weights = torch.where(drill_rows, drills.float(), weights)
        right = logits.argmax(-1) == labels
        figures = {
            "answer_loss": each[answers].mean().item(),
            "answer_accuracy": right[answers].float().mean().item(),
            "copy_accuracy": right[drills].float().mean().item(),
        }
        return (each * weights).sum() / weights.sum(), figures

    trainer = Trainer(config, model, loss, folder)
    trainer.run(run.resume)
    as_pretrained(tokenizer, config.max_positions).save_pretrained(folder)
    model.to(torch.bfloat16).save_pretrained(folder)
    return trainer
