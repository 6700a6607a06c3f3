"""A grown target says what the shallow one said, and its new layers can learn."""

import torch

from eagle_bench.config.training import TargetTrainingConfig
from eagle_bench.training.growth import grow
from eagle_bench.training.target import build


def test_growing_changes_no_output_and_every_new_layer_gets_a_gradient() -> None:
    torch.manual_seed(0)
    config = TargetTrainingConfig(
        name="target", num_layers=7, hidden_size=32, intermediate_size=64, vocab_size=300
    )
    shallow = build(config, eos=1, pad=0)
    grown = grow(shallow, 17)
    ids = torch.randint(300, (2, 40))
    logits = grown(input_ids=ids).logits
    torch.testing.assert_close(logits, shallow(input_ids=ids).logits)
    assert grown.config.num_hidden_layers == len(grown.model.layers) == 17
    torch.autograd.backward(logits.square().mean())
    for layer in grown.model.layers:
        assert layer.mlp.down_proj.weight.grad.abs().max() > 0
        assert layer.self_attn.o_proj.weight.grad.abs().max() > 0
