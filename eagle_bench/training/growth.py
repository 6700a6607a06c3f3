"""A deeper target from a shallow one that is trained already.

Shallow models learn to copy and to reason over a prompt in a fraction of the time. New layers
begin as the identity (their projections into the residual stream are zero), so the grown model
starts with exactly the old one's outputs (Gong et al., 2019, "Efficient Training of BERT by
Progressively Stacking", with identities in place of copies). The old layers stay together
where EAGLE-3 reads its features, so that these differ from layer to layer.
"""

from __future__ import annotations

import copy

import torch
from transformers import LlamaForCausalLM

from eagle_bench.models.target import default_aux_layers


def grow(model: LlamaForCausalLM, num_layers: int) -> LlamaForCausalLM:
    """`model` with `num_layers` layers, at least as many as it has; same outputs."""
    shape = copy.deepcopy(model.config)
    shape.num_hidden_layers = num_layers
    grown = LlamaForCausalLM(shape)
    old = model.model.layers
    nearest = sorted(range(num_layers), key=lambda place: _distance(place, num_layers))
    places = sorted(nearest[: len(old)])
    with torch.no_grad():
        for layer in grown.model.layers:
            layer.self_attn.o_proj.weight.zero_()
            layer.mlp.down_proj.weight.zero_()
    for place, layer in zip(places, old, strict=True):
        grown.model.layers[place].load_state_dict(layer.state_dict())
    grown.model.embed_tokens.load_state_dict(model.model.embed_tokens.state_dict())
    grown.model.norm.load_state_dict(model.model.norm.state_dict())
    return grown


def _distance(place: int, num_layers: int) -> float:
    """Layers between `place` and the nearest of the inputs that EAGLE-3 reads."""
    return min(abs(place + 0.5 - layer) for layer in default_aux_layers(num_layers))
