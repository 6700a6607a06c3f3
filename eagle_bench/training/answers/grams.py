"""Which texts share a passage of 13 tokens with prompts that must stay unseen."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

LENGTH = 13
"""Tokens that two texts must share in a row to count as one quoting the other (GPT-3's
decontamination)."""


class Unseen:
    """The 13-grams of texts, as token ids, that no training prompt may hold."""

    def __init__(self, texts: Iterable[Sequence[int]]) -> None:
        self.grams = {gram for text in texts for gram in _grams(text)}

    def quoted_in(self, ids: Sequence[int]) -> bool:
        """Whether `ids` share a 13-gram with any of the texts."""
        return any(gram in self.grams for gram in _grams(ids))


def _grams(ids: Sequence[int]) -> Iterator[tuple[int, ...]]:
    for start in range(len(ids) - LENGTH + 1):
        yield tuple(ids[start : start + LENGTH])
