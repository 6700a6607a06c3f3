"""A deeper target from a shallow one that is trained already.

Shallow models learn to copy and to reason over a prompt in a fraction of the time. New layers
are laid evenly between the old ones and begin as the identity (their projections into the
residual stream are zero), so the grown model starts with exactly the old one's outputs
(Gong et al., 2019, "Efficient Training of BERT by Progressively Stacking", with identities in
place of copies).
"""

from __future__ import annotations

import copy

import torch
from transformers import LlamaForCausalLM


def grow(model: LlamaForCausalLM, num_layers: int) -> LlamaForCausalLM:
    """`model` with `num_layers` layers, at least as many as it has; same outputs."""
    shape = copy.deepcopy(model.config)
    shape.num_hidden_layers = num_layers
    grown = LlamaForCausalLM(shape)
    old = model.model.layers
    places = [index * num_layers // len(old) for index in range(len(old))]
    with torch.no_grad():
        for layer in grown.model.layers:
            layer.self_attn.o_proj.weight.zero_()
            layer.mlp.down_proj.weight.zero_()
    for place, layer in zip(places, old, strict=True):
        grown.model.layers[place].load_state_dict(layer.state_dict())
    grown.model.embed_tokens.load_state_dict(model.model.embed_tokens.state_dict())
    grown.model.norm.load_state_dict(model.model.norm.state_dict())
    return grown
