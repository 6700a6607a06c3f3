"""Whether a model of any class says the same in pieces, as the decoding loop reads, as at once."""

from __future__ import annotations

import torch
from torch import Tensor

from eagle_bench.errors import UserError
from eagle_bench.models.mask import attention_mask
from eagle_bench.models.target import TargetSpec
from eagle_bench.models.transformers_target import TransformersTarget

TOLERANCE, COARSE_TOLERANCE = 2e-3, 0.05
TEXT = """The river Seine flows through Paris; 17 + 25 = 42.

def add(first, second):
    return first + second
"""
"""A text of several kinds, to compare forwards on."""


def sample(target: TransformersTarget) -> Tensor:
    """Token ids `[1, n]` of a text, two at least."""
    spec = target.spec
    ids = target.tokenizer(TEXT)["input_ids"][: spec.max_positions]
    return torch.tensor([ids if len(ids) > 1 else [0, 0]], device=spec.device) % spec.vocab_size


def check_pieces(target: TransformersTarget, *, key: str, path: str) -> None:
    """Refuse a model that the loop cannot run as it is meant to be run.

    It would be measured all the same, and be lossless: both arms see it wrongly alike.

    Raises
    ------
    UserError
        It looks ahead (an encoder), counts its own positions, keeps to masks of its own, or does
        not take the loop's cache at all.
    """
    who = f"{key}={path} is a {target.spec.architecture}"
    try:
        pieces, whole = _pieces_and_whole(target, sample(target))
    except torch.OutOfMemoryError:
        raise
    except Exception as error:  # Whatever the code of another class may raise.
        reason = " ".join(str(error).split())[:160]
        raise UserError(
            f"{who}, whose forward does not take this loop's cache and masks ({reason}); use a "
            "family that docs/targets.md names."
        ) from error
    worst = difference(pieces, whole, target.spec)
    if worst is not None and whole.isfinite().all():  # What is no number is told by its place.
        raise UserError(
            f"{who}, which says something else of a text in pieces than of the whole (relative "
            f"difference {worst:.2g}): it looks ahead, as encoders do (is_decoder=false), or keeps "
            "positions or masks of its own; use a causal model."
        )


def difference(actual: Tensor, expected: Tensor, spec: TargetSpec) -> float | None:
    """How far logits `[1, n, vocab]` are from those expected, if that is more than rounding.

    In float32 at every position; in a coarser dtype at half of them, as there single ones (the
    first, control tokens) differ between any two correct forwards by as much as the logits.
    """
    apart = (actual.float() - expected.float()).abs().amax(-1) / expected.float().abs().max()
    exact = spec.dtype is torch.float32
    worst = float(apart.max() if exact else apart.median())
    return None if worst <= (TOLERANCE if exact else COARSE_TOLERANCE) else worst


@torch.inference_mode()
def _pieces_and_whole(target: TransformersTarget, tokens: Tensor) -> tuple[Tensor, Tensor]:
    """Logits of `tokens` by the loop and by the model's own plain forward.

    The loop reads the first half into its cache, then the second half twice, as two branches of a
    tree: `[1, n + ceil(n / 2), vocab]`.
    """
    n = tokens.shape[1]
    half = n // 2
    whole: Tensor = target.model(input_ids=tokens, use_cache=False).logits
    positions = torch.arange(n, device=tokens.device)[None]
    branch = torch.ones(n - half, n - half, dtype=torch.bool, device=tokens.device).tril()
    twice = torch.eye(2, dtype=torch.bool, device=tokens.device)
    cache = target.state(1, 2 * n - half)
    first = target.forward(tokens[:, :half], positions[:, :half], None, cache, features=False)
    cache.commit_all()
    second = target.forward(
        tokens[:, half:].repeat(1, 2),
        positions[:, half:].repeat(1, 2),
        attention_mask(cache.lengths, torch.kron(twice, branch)[None]),
        cache,
        features=False,
    )
    return torch.cat((first.logits, second.logits), 1), torch.cat((whole, whole[:, half:]), 1)
