"""Where a head starts that learns from its target's own answers, and what it is asked."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from eagle_bench.drafters.heads.config import HeadConfig
from eagle_bench.drafters.heads.head import EagleHead
from eagle_bench.drafters.heads.reading import HeadReading
from eagle_bench.drafters.heads.ttt import ttt_hidden
from eagle_bench.models.lean_target import fits
from eagle_bench.training.answers.batches import Batch, Thoughts
from eagle_bench.training.answers.exchange import Exchange
from eagle_bench.training.loop import Figures


def draft_vocabulary(exchanges: Iterable[Exchange], size: int) -> Tensor:
    """The `size` most frequent tokens of the answers, ascending, int64 `[size]`."""
    counts: Counter[int] = Counter(range(size))
    for each in exchanges:
        counts.update(each.answer)
    return torch.tensor(sorted(token for token, _ in counts.most_common(size)))


def from_target(model: Any, vocabulary: Tensor, layers: tuple[int, ...]) -> EagleHead:
    """A head of the target's shapes that reads `layers` and draws with the target's output rows.

    On a target of the Llama family it also has the last layer's MLP and the final norm, and
    passes the upper feature on.
    """
    wide = model.config.get_text_config()
    last = model.get_decoder().layers[-1]
    head = EagleHead(
        HeadConfig(
            hidden_size=wide.hidden_size,
            target_hidden_size=wide.hidden_size,
            num_heads=wide.num_attention_heads,
            num_kv_heads=wide.num_key_value_heads,
            head_dim=last.self_attn.head_dim,
            intermediate_size=wide.intermediate_size,
            vocab_size=model.get_output_embeddings().weight.shape[0],
            draft_vocab_size=len(vocabulary),
            max_positions=wide.max_position_embeddings,
            reading=HeadReading(aux_layers=layers),
        )
    )
    head.set_vocabulary(vocabulary)
    assert head.norm is not None
    assert head.lm_head is not None
    layer: Any = head.layers[0]
    with torch.no_grad():
        head.lm_head.weight.copy_(model.get_output_embeddings().weight[vocabulary])
        if not fits(model):
            return head
        head.norm.weight.copy_(model.get_decoder().norm.weight)
        layer.post_attention_layernorm.weight.copy_(last.post_attention_layernorm.weight)
        gate_up = torch.cat((last.mlp.gate_proj.weight, last.mlp.up_proj.weight))
        layer.mlp.gate_up_proj.weight.copy_(gate_up)
        layer.mlp.down_proj.weight.copy_(last.mlp.down_proj.weight)
        layer.self_attn.o_proj.weight.zero_()
        eye = torch.eye(wide.hidden_size)
        head.fc.weight.copy_(torch.cat((0 * eye, 0 * eye, eye), dim=1))
    return head


def answer_loss(
    head: EagleHead,
    embeds: Tensor,
    output: Tensor,
    batch: Batch,
    thoughts: Thoughts,
    steps: int,
    decay: float,
) -> tuple[Tensor, Figures]:
    """Soft cross-entropy to the target over the draft vocabulary, at answers alone.

    Parameters
    ----------
    embeds : Tensor
        `[rows, seq + 1, hidden]` as `ttt_hidden` takes them.
    output : Tensor
        `[draft_vocab, hidden]`, the target's output rows.
    steps, decay : int, float
        Draft steps, and the weight of each next one. Step k, read at index i, draws what the
        target thinks at place i + 1 + k.
    """
    assert head.t2d is not None
    rows, places = batch.answers()
    wanted = F.linear(thoughts.final.to(output.dtype), output).float().softmax(-1)
    total, figures = embeds.new_zeros(()), dict[str, float]()
    features = thoughts.features.to(embeds.dtype)
    for step, hidden in enumerate(ttt_hidden(head, embeds, features, steps)):
        reached = places >= batch.starts[rows] + step
        best = thoughts.best[reached]
        logits = head.logits(hidden[rows[reached], places[reached] - 1 - step])
        each = F.cross_entropy(logits.float(), wanted[reached], reduction="none")
        counted = head.t2d[best]
        total = total + decay**step * (each * counted).sum() / counted.sum().clamp(min=1)
        right = head.to_target(logits.argmax(-1)) == best
        figures[f"accuracy_{step}"] = right.float().mean().item()
    return total, figures
