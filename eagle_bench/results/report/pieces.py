"""Token ids as text, where the tokenizer is at hand."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from eagle_bench.config.model import ModelConfig
from eagle_bench.errors import UserError
from eagle_bench.models.gguf import is_gguf, source
from eagle_bench.records.job import Job

BROKEN = "\ufffd"
TOKENIZER_FILE = "tokenizer.json"

Decode = Callable[[list[int]], str]


def decoder(job: Job) -> Decode | None:
    """The decoding function of the job's tokenizer; None when it cannot be had offline."""
    model: dict[str, Any] = job.config.get("model") or {}
    try:
        path = ModelConfig(name=model.get("name", ""), path=model.get("path")).checkpoint()
    except UserError:
        return None
    return None if path is None else _load(path, model.get("revision"))


def split(parts: Sequence[Sequence[int]], decode: Decode | None) -> list[str]:
    """The text that each part adds to those before; the ids themselves without `decode`.

    A character whose bytes lie in several parts belongs to the one that completes it.
    """
    if decode is None:
        return [" ".join(map(str, part)) + " " for part in parts]
    texts: list[str] = []
    tokens: list[int] = []
    done = 0
    for index, part in enumerate(parts, 1):
        tokens += part
        text = decode(tokens)
        whole = text if index == len(parts) else text.rstrip(BROKEN)
        texts.append(whole[done:])
        done = max(done, len(whole))
    return texts


@cache
def _load(path: str, revision: str | None) -> Decode | None:
    if is_gguf(path):
        return _load_gguf(path)
    from huggingface_hub import try_to_load_from_cache
    from huggingface_hub.errors import HFValidationError
    from tokenizers import Tokenizer

    file: object = Path(path) / TOKENIZER_FILE
    if not Path(path).is_dir():
        try:
            file = try_to_load_from_cache(path, TOKENIZER_FILE, revision=revision)
        except HFValidationError:
            return None
    try:
        tokenizer = Tokenizer.from_file(str(file))
    except Exception:  # the tokenizers library raises no narrower type
        return None

    return _decoding(tokenizer)


def _load_gguf(path: str) -> Decode | None:
    from transformers import AutoTokenizer

    place, file = source(path)
    try:
        return _decoding(AutoTokenizer.from_pretrained(place, **file).backend_tokenizer)
    except (OSError, ValueError, ImportError):
        return None


def _decoding(tokenizer: Any) -> Decode:
    def decode(tokens: list[int]) -> str:
        return str(tokenizer.decode(tokens, skip_special_tokens=False))

    return decode
