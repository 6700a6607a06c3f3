"""Load an EAGLE head of any format by its folder alone, and say what was understood.

Three steps: `open_checkpoint` finds and parses the folder, `settle` decides how it is read,
`build` puts the tensors into a head.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from eagle_bench.config.drafter import SHIPPED, Eagle3Config
from eagle_bench.config.values import Attention
from eagle_bench.drafters.heads.check import TargetShape, check_fits, check_tensors
from eagle_bench.drafters.heads.checkpoint import EMBEDDINGS, Checkpoint, open_checkpoint
from eagle_bench.drafters.heads.config import HeadConfig
from eagle_bench.drafters.heads.head import EagleHead
from eagle_bench.drafters.heads.padding import fit_vocabulary
from eagle_bench.drafters.heads.parse import parse_config
from eagle_bench.drafters.heads.reading import HeadReading
from eagle_bench.drafters.heads.report import LoadReport, report_on
from eagle_bench.drafters.heads.settle import Embed, settle
from eagle_bench.drafters.heads.vocabulary import Vocabulary, read_vocabulary
from eagle_bench.drafters.heads.weightmap import join, split
from eagle_bench.errors import UserError


@dataclass(frozen=True)
class LoadedHead:
    """A head, with what the loader understood."""

    head: EagleHead
    report: LoadReport

    @property
    def config(self) -> HeadConfig:
        return self.head.config

    @property
    def reading(self) -> HeadReading:
        return self.head.config.reading


def load_head(
    settings: Eagle3Config, target: TargetShape | None = None, embed: Embed | None = None
) -> LoadedHead:
    """The head that `settings` name (see `read_head`)."""
    if settings.path is None and settings.name not in SHIPPED:
        raise UserError(f"drafter={settings.name} needs drafter.path=FOLDER.")
    checkpoint = open_checkpoint(settings.path or str(SHIPPED[settings.name]))
    return read_head(checkpoint, settings, target, embed)


def read_head(
    checkpoint: Checkpoint,
    settings: Eagle3Config,
    target: TargetShape | None = None,
    embed: Embed | None = None,
) -> LoadedHead:
    """The head in `checkpoint`, on the CPU, in the dtype of its `fc`.

    Parameters
    ----------
    target : TargetShape or None
        What the head must fit; None skips those checks.
    embed : callable or None
        The target's embeddings of token ids, on the CPU; with None, a head's own count as its
        own.

    Raises
    ------
    UserError
        One sentence on whatever is wrong with the folder, or between head and target.
    """
    if checkpoint.kind is not settings.kind:
        found = checkpoint.kind
        raise UserError(
            f"{checkpoint.folder} holds a head of the kind {found.value}, which would be misread "
            f"as {settings.kind.value}; it runs as drafter={found.name}."
        )
    config = parse_config(checkpoint, settings.said_mask())
    vocabulary = read_vocabulary(checkpoint.weights, settings.vocab_mapping, config)
    layers = None
    if target is not None:
        layers, vocab = target.num_layers, target.vocab_size
        checkpoint, config, vocabulary = fit_vocabulary(
            checkpoint, config, vocabulary, vocab, embed
        )
    reading = settle(checkpoint, config, vocabulary, settings, layers, embed)
    config = replace(config, reading=reading)
    if target is not None:
        check_fits(config, target)
    weights = dict(checkpoint.weights)
    if settings.embedding_key is not None and reading.own_embeddings:
        named = checkpoint.find(settings.embedding_key)
        weights |= {} if named is None else {EMBEDDINGS: named}
    head = build(checkpoint.folder, weights, config, vocabulary, settings.attention)
    return LoadedHead(head, report_on(checkpoint, head, settings.attention, target))


def build(
    folder: Path,
    weights: Mapping[str, Tensor],
    config: HeadConfig,
    vocabulary: Vocabulary,
    attention: Attention,
) -> EagleHead:
    """The head that `config` describes, with its tensors from `weights`."""
    with torch.device("meta"):
        head = EagleHead(config, attention)
    expected = split(head.state_dict(), config)
    check_tensors(folder, weights, expected)
    dtype = weights["fc.weight"].dtype
    used = {name: weights[name].to(dtype) for name in expected}
    head.load_state_dict(join(used, config), assign=True)
    if vocabulary.target_ids is not None:
        head.set_vocabulary(vocabulary.target_ids)
    return head.eval()
