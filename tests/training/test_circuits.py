"""A target that copies before its first training step."""

import random

import pytest
import torch

from eagle_bench.config.training import TargetTrainingConfig
from eagle_bench.errors import UserError
from eagle_bench.training.corpus import copy_drill
from eagle_bench.training.target import build


def copy_accuracy(copy_circuit: bool) -> float:
    """How often an untrained target knows the next token of a passage it has seen before."""
    torch.manual_seed(0)
    config = TargetTrainingConfig(name="target", num_layers=7, copy_circuit=copy_circuit)
    model = build(config, eos=1, pad=0)
    rng = random.Random(0)
    drills = [copy_drill(rng, 129, range(4, config.vocab_size)) for _ in range(4)]
    ids = torch.tensor([drill for drill, _ in drills])
    known = torch.tensor([known for _, known in drills])[:, 1:]
    with torch.no_grad():
        right = model(input_ids=ids[:, :-1]).logits.argmax(-1) == ids[:, 1:]
    return right[known].float().mean().item()


def test_the_circuit_copies_and_a_random_start_does_not() -> None:
    assert copy_accuracy(copy_circuit=False) < 0.05
    assert copy_accuracy(copy_circuit=True) > 0.25


def test_the_circuit_fits_small_shapes() -> None:
    config = TargetTrainingConfig(
        name="target", num_layers=7, hidden_size=32, intermediate_size=64, vocab_size=300
    )
    model = build(config, eos=1, pad=0)
    assert all(weight.isfinite().all() for weight in model.parameters())


def test_the_circuit_needs_two_kv_heads() -> None:
    with pytest.raises(UserError, match="copy circuit needs 2"):
        TargetTrainingConfig(name="target", num_kv_heads=1)
