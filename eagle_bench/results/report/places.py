"""A page that goes to a colleague does not say where its files lay."""

from __future__ import annotations

import re

NAME = r"""[^\s/\\:,;'"<>|]+"""
PLACE = re.compile(
    rf"(?<![\w./:~)\]-])(?:(?:/{NAME}){{2,}}/?|~(?:/{NAME})+/?|[A-Za-z]:(?:\\{NAME})+)"
)


def without_places(text: str) -> str:
    """`text` with each absolute path cut to its last name, `/a/b/c.json` to `…/c.json`."""
    return PLACE.sub(lambda found: "…/" + re.split(r"[/\\]", found[0].rstrip("/"))[-1], text)
