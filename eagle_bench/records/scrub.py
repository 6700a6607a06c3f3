"""Keeps secrets out of everything that leaves the process."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import Any

HIDDEN = "***"

_SECRET_NAME = re.compile(
    r"(^|[_.\-])(api[_-]?key|access[_-]?key|private[_-]?key|auth[_-]?key|secrets?|secret[_-]?key"
    r"|passwords?|passwd|credentials?|token|bearer|authorization)$",
    re.IGNORECASE,
)
_USER_IN_URL = re.compile(r"(?P<scheme>[a-z][a-z0-9+.\-]*\\?:/{1,2})[^/\s]+@", re.IGNORECASE)
"""Also as Hydra writes a URL (`https\\://`), and as a path that was one (`https:/`)."""
_SECRET_IN_QUERY = re.compile(
    r"(?P<name>[?&][^=&#\s]*(?:token|key|secret|signature|password|credential)[^=&#\s]*=)[^&#\s]+",
    re.IGNORECASE,
)
_KNOWN_SHAPES = re.compile(
    r"(?<![A-Za-z0-9])(?:hf_[A-Za-z0-9]{16,}|gh[pousr]_[A-Za-z0-9]{16,}|github_pat_\w{16,}"
    r"|sk-[A-Za-z0-9_\-]{16,}|AKIA[0-9A-Z]{16}|wandb_v1_\w{16,}"
    r"|glpat-[\w\-]{16,}|xox[a-z]-[\w\-]{16,}|AIza[\w\-]{30,}|eyJ[\w\-]{8,}\.[\w\-.]{16,})"
)
_OVERRIDE = re.compile(r"(?P<name>[+~]{0,2}[\w.@/\-]+)=.+", re.DOTALL)
_MIN_SECRET_LENGTH = 8


def scrub(value: Any) -> Any:
    """Copy plain data with every secret replaced by `***`.

    Hidden are text under a name that says key, secret, password or token, also in an override
    `name=text`; the user part and
    signed parameters of URLs; well-known shapes of access tokens; and, wherever it appears,
    the value of any environment variable with such a name.
    """
    return _scrub(value, _environment_secrets())


def _environment_secrets() -> list[str]:
    return [
        value
        for name, value in os.environ.items()
        if _SECRET_NAME.search(name) and len(value) >= _MIN_SECRET_LENGTH
    ]


def _scrub(value: Any, secrets: list[str]) -> Any:
    if isinstance(value, Mapping):
        return {
            key: HIDDEN
            if isinstance(item, str) and item and _SECRET_NAME.search(str(key))
            else _scrub(item, secrets)
            for key, item in value.items()
        }
    if isinstance(value, (list, tuple)):
        return [_scrub(item, secrets) for item in value]
    if isinstance(value, str):
        return _scrub_text(value, secrets)
    return value


def _scrub_text(text: str, secrets: list[str]) -> str:
    override = _OVERRIDE.fullmatch(text)
    if override and _SECRET_NAME.search(override["name"]):
        return f"{override['name']}={HIDDEN}"
    for secret in secrets:
        text = text.replace(secret, HIDDEN)
    text = _USER_IN_URL.sub(rf"\g<scheme>{HIDDEN}@", text)
    text = _SECRET_IN_QUERY.sub(rf"\g<name>{HIDDEN}", text)
    return _KNOWN_SHAPES.sub(HIDDEN, text)
