"""From a checkpoint, the user's settings and the target to one `HeadReading`."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from eagle_bench.config.drafter import Eagle3Config
from eagle_bench.drafters.heads.aux_layers import read_aux_layers
from eagle_bench.drafters.heads.checkpoint import EMBEDDINGS, Checkpoint
from eagle_bench.drafters.heads.config import HeadConfig
from eagle_bench.drafters.heads.reading import Choice, HeadReading
from eagle_bench.drafters.heads.spans import read_rope, read_window
from eagle_bench.drafters.heads.vocabulary import Vocabulary
from eagle_bench.errors import UserError

NORM_OUTPUT = (
    "norm_output=true is read as EAGLE 3.1's, the normed state is fed back; in SpecForge before "
    "September 2026 it meant only the norm before the lm_head: such a head needs "
    "drafter.norm_output=false."
)
ROWS = 8192
"""Embeddings compared at a time."""

ROUNDING = 2.0**-7
"""The relative step of bfloat16: closer embeddings are copies of one another."""

Embed = Callable[[Tensor], Tensor]


def settle(
    checkpoint: Checkpoint,
    config: HeadConfig,
    vocabulary: Vocabulary,
    settings: Eagle3Config,
    num_layers: int | None,
    embed: Embed | None,
) -> HeadReading:
    """How the head is read.

    Parameters
    ----------
    num_layers : int or None
        The target's, when it is known.
    embed : callable or None
        The target's embeddings of token ids on the CPU, to compare a head's own with.

    Raises
    ------
    UserError
    """
    if config.generation == 3:
        aux = read_aux_layers(checkpoint, settings.aux_layers, num_layers)
    else:
        raw = () if num_layers is None else ((num_layers,),)
        aux = Choice(None, "EAGLE-1/2 reads the final hidden state", others=raw)
    window = read_window(checkpoint.sizes, config.num_layers)
    return HeadReading.of(
        aux_layers=aux,
        own_embeddings=_embeddings(checkpoint, config, settings.embedding_key, embed),
        mapped=Choice(vocabulary.target_ids is not None, vocabulary.source, vocabulary.warnings),
        norm_before_residual=_flag(checkpoint, settings, "norm_before_residual"),
        norm_output=_norm_output(checkpoint, settings),
        window=window,
        rope=read_rope(checkpoint.sizes, window.value, settings.rope_theta),
    )


def _flag(checkpoint: Checkpoint, settings: Eagle3Config, name: str) -> Choice:
    told: bool | None = getattr(settings, name)
    if told is not None:
        return Choice(told, f"drafter.{name}")
    said, where = checkpoint.flag(name)
    return Choice(bool(said), where, others=(True,) if said is None else ())


def _norm_output(checkpoint: Checkpoint, settings: Eagle3Config) -> Choice:
    choice = _flag(checkpoint, settings, "norm_output")
    if settings.norm_output is not None:
        return choice
    doubtful = choice.value and checkpoint.form.two_norm_outputs
    return choice._replace(doubts=(NORM_OUTPUT,) if doubtful else (), others=(not choice.value,))


def _embeddings(
    checkpoint: Checkpoint, config: HeadConfig, key: str | None, embed: Embed | None
) -> Choice:
    """Whether the head's own are used: where they are not the target's over again."""
    own = checkpoint.weights.get(EMBEDDINGS)
    if config.hidden_size != config.target_hidden_size:
        if own is None:
            raise UserError(
                f"The head is {config.hidden_size} wide and its target "
                f"{config.target_hidden_size}, so it needs embeddings of its own, but "
                f"{checkpoint.folder} has no {EMBEDDINGS}."
            )
        return Choice(True, "the head's width is not the target's")
    if key is not None:
        named = checkpoint.find(key) is not None
        return Choice(named, "drafter.embedding_key" + ("" if named else ", no key of the head"))
    if own is None:
        return Choice(False, "the checkpoint has none")
    if fault := _unfit(own, (config.vocab_size, config.hidden_size)):
        said = f"{EMBEDDINGS} of the head {fault} and is not used; the target's embeddings are."
        return Choice(False, "the checkpoint's are no embeddings", (said,))
    if embed is None:
        return Choice(True, "the checkpoint's, not compared with a target's")
    if _same(own, embed):
        return Choice(False, "the checkpoint's are the target's")
    return Choice(
        True,
        "the checkpoint's differ from the target's",
        (
            f"{EMBEDDINGS} of the head differs from the target's embeddings and is used in "
            "their place; drafter.embedding_key=target takes the target's.",
        ),
        others=(False,),
    )


def _unfit(own: Tensor, shape: tuple[int, int]) -> str:
    """What is wrong with a tensor of embeddings; empty if nothing."""
    if own.shape != shape:
        return f"has shape {list(own.shape)}, not {list(shape)},"
    if not own.isfinite().all():
        return "holds NaN or infinite values"
    return "" if own.any() else "is all zeros"


def _same(own: Tensor, embed: Embed) -> bool:
    """Whether `own` `[vocab, hidden]` are the target's embeddings but for rounding."""
    for start in range(0, len(own), ROWS):
        rows = own[start : start + ROWS].float()
        ids = torch.arange(start, start + len(rows))
        if not torch.allclose(rows, embed(ids).float(), rtol=ROUNDING, atol=1e-6):
            return False
    return True
