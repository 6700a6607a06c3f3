"""The map from a head's smaller vocabulary to the target's, checked before it is believed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from eagle_bench.drafters.heads.config import HeadConfig
from eagle_bench.drafters.heads.folder import read_tensors
from eagle_bench.errors import UserError


@dataclass(frozen=True)
class Vocabulary:
    """Target ids of the draft tokens (None: the same ids), where they came from, warnings."""

    target_ids: Tensor | None
    source: str
    warnings: tuple[str, ...] = ()


def read_mapping(path: str) -> dict[str, Tensor]:
    """`d2t` and `t2d` of a separate mapping file."""
    file = Path(path).expanduser()
    if not file.is_file():
        raise UserError(f"drafter.vocab_mapping={path} is no file.")
    tensors = read_tensors(file)
    if not {"d2t", "t2d"} & set(tensors):
        raise UserError(
            f"drafter.vocab_mapping={path} holds neither d2t nor t2d but "
            f"{', '.join(sorted(tensors)) or 'nothing'}."
        )
    return tensors


def read_vocabulary(
    buffers: Mapping[str, Tensor], mapping: str | None, config: HeadConfig
) -> Vocabulary:
    """The vocabulary of a head from its own buffers, or from `mapping` when that is given.

    Parameters
    ----------
    buffers : mapping of str to Tensor
        Among others `d2t` and `t2d`, as far as the checkpoint has them.
    mapping : str or None
        `drafter.vocab_mapping`; wins over the buffers.
    """
    if not config.own_lm_head:
        return Vocabulary(None, "the target's lm_head is used")
    vocab, draft_vocab = config.vocab_size, config.draft_vocab_size
    if mapping is not None:
        buffers, source = read_mapping(mapping), "drafter.vocab_mapping"
    else:
        source = "the checkpoint"
    d2t, t2d = buffers.get("d2t"), buffers.get("t2d")
    if draft_vocab > vocab:
        raise UserError(
            f"draft_vocab_size={draft_vocab} is more than the target's vocab_size={vocab}."
        )
    if _unfilled(d2t, t2d, draft_vocab, vocab):
        d2t = t2d = None
    if d2t is None and t2d is None:
        if draft_vocab == vocab:
            return Vocabulary(None, "the vocabularies are equal")
        raise UserError(
            f"The head proposes {draft_vocab} of {vocab} tokens but its vocabulary map (d2t) is "
            "missing or was never filled; give it as drafter.vocab_mapping=FILE.pt."
        )
    if d2t is None:
        assert t2d is not None
        return Vocabulary(_from_t2d(t2d, vocab, draft_vocab), f"t2d of {source}")
    target_ids = _from_d2t(d2t, vocab, draft_vocab)
    if t2d is not None and _agree(t2d, d2t) and not _agree(t2d, target_ids):
        raise UserError("d2t holds absolute ids (t2d marks just these), but must hold offsets.")
    warnings = []
    if t2d is not None and not _agree(t2d, target_ids):
        warnings.append("t2d contradicts d2t; d2t is used.")
    identity = bool((target_ids == torch.arange(draft_vocab)).all())
    if identity and draft_vocab < vocab:
        warnings.append(f"d2t is all zeros: the head proposes only the ids below {draft_vocab}.")
    if identity and draft_vocab == vocab:
        return Vocabulary(None, f"d2t of {source}: the same ids", tuple(warnings))
    return Vocabulary(target_ids, f"d2t of {source}", tuple(warnings))


def _unfilled(d2t: Tensor | None, t2d: Tensor | None, draft_vocab: int, vocab: int) -> bool:
    """Whether the buffers are SpecForge's initial ones: d2t zeros beside t2d ones."""
    if d2t is None or t2d is None or draft_vocab == vocab:
        return False
    return not d2t.any() and bool(t2d.all())


def _from_d2t(d2t: Tensor, vocab: int, draft_vocab: int) -> Tensor:
    if d2t.is_floating_point() or d2t.dtype == torch.bool:
        raise UserError(f"d2t holds {d2t.dtype} values, not integers.")
    if d2t.shape != (draft_vocab,):
        raise UserError(
            f"d2t has shape {list(d2t.shape)}, but the head proposes {draft_vocab} tokens."
        )
    offsets = d2t.to(torch.int64)
    target_ids = offsets + torch.arange(draft_vocab)
    if int(target_ids.min()) < 0 or int(target_ids.max()) >= vocab:
        absolute = len(set(offsets.tolist())) == draft_vocab and int(offsets.min()) >= 0
        absolute = absolute and int(offsets.max()) < vocab
        hint = "; it looks like absolute ids, but must hold offsets" if absolute else ""
        raise UserError(
            f"d2t points outside the vocabulary of {vocab} tokens "
            f"(ids {int(target_ids.min())} to {int(target_ids.max())}){hint}."
        )
    twice = (torch.bincount(target_ids) > 1).nonzero()[:, 0]
    if len(twice):
        raise UserError(
            f"d2t names {len(twice)} target ids more than once, {int(twice[0])} among them: each "
            "draft token must stand for another."
        )
    return target_ids


def _from_t2d(t2d: Tensor, vocab: int, draft_vocab: int) -> Tensor:
    if t2d.shape != (vocab,):
        raise UserError(f"t2d has shape {list(t2d.shape)}, but the target has {vocab} tokens.")
    target_ids = t2d.to(torch.bool).nonzero()[:, 0]
    if len(target_ids) != draft_vocab:
        raise UserError(f"t2d marks {len(target_ids)} tokens, but the head proposes {draft_vocab}.")
    return target_ids


def _agree(t2d: Tensor, target_ids: Tensor) -> bool:
    """Whether `t2d` marks just these ids; their order carries no meaning."""
    return torch.equal(t2d.to(torch.bool).nonzero()[:, 0], target_ids.to(torch.int64).sort().values)
