"""Vocabularies that differ from the target's by padding rows, as checkpoints of one model do."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from eagle_bench.drafters.heads.checkpoint import EMBEDDINGS, Checkpoint
from eagle_bench.drafters.heads.config import HeadConfig
from eagle_bench.drafters.heads.settle import Embed
from eagle_bench.drafters.heads.vocabulary import Vocabulary
from eagle_bench.errors import UserError

ROWS, SHARE = 256, 50
"""Padding is at most so many rows, or one row in so many: Qwen's pads 271 of 151,936."""

Understood = tuple[Checkpoint, HeadConfig, Vocabulary]


def fit_vocabulary(
    checkpoint: Checkpoint,
    config: HeadConfig,
    vocabulary: Vocabulary,
    vocab: int,
    embed: Embed | None,
) -> Understood:
    """The same head for a target whose vocabulary has `vocab` rows.

    Rows of the head beyond them are cut off; rows that its embeddings lack are the target's
    (zeros where it cannot be asked).

    Raises
    ------
    UserError
        The sizes differ by more than padding, or the head can draft ids that the target lacks.
    """
    made_for = config.vocab_size
    if made_for == vocab:
        return checkpoint, config, vocabulary
    ids = vocabulary.target_ids
    beyond = ids is not None and int(ids.max()) >= vocab
    if beyond or abs(made_for - vocab) > max(ROWS, vocab // SHARE):
        raise UserError(
            f"The head was made for a target with {made_for} tokens, but this one has {vocab}"
            + (f" and the head drafts ids up to {int(ids.max())}." if ids is not None else ".")
        )
    if ids is None and config.own_lm_head and made_for < vocab:
        ids = torch.arange(made_for)
    drafted = vocab if ids is None else len(ids)
    doubt = (
        f"config.json of the head counts {made_for} tokens and the target has {vocab}: the "
        "difference is taken for padding."
    )
    weights = dict(checkpoint.weights)
    if EMBEDDINGS in weights:
        same_width = config.hidden_size == config.target_hidden_size
        rows = _resized(weights[EMBEDDINGS], vocab, embed if same_width else None)
        weights[EMBEDDINGS] = rows
    if config.own_lm_head:
        weights["lm_head.weight"] = weights["lm_head.weight"][:drafted]
    return (
        replace(checkpoint, weights=weights),
        replace(config, vocab_size=vocab, draft_vocab_size=drafted),
        Vocabulary(ids, vocabulary.source, (*vocabulary.warnings, doubt)),
    )


def _resized(table: Tensor, rows: int, embed: Embed | None) -> Tensor:
    """`table` `[n, hidden]` with `rows` rows."""
    missing = torch.arange(min(len(table), rows), rows)
    if embed is None:
        more = table.new_zeros(len(missing), table.shape[1])
    else:
        more = embed(missing).to(table.dtype)
    return torch.cat((table[:rows], more))
