"""What makes two jobs the same job."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from eagle_bench.config.run import LATER, RESULT_IRRELEVANT


def config_hash(config: Mapping[str, Any]) -> str:
    """Hash the part of a plain config (see `eagle_bench.config.plain`) that results depend on.

    Returns
    -------
    str
        16 hexadecimal digits.
    """
    relevant = {key: value for key, value in config.items() if key not in RESULT_IRRELEVANT}
    canonical = json.dumps(_asked(relevant), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()[:16]


def _asked(config: Mapping[str, Any], above: str = "") -> dict[str, Any]:
    """`config` without the settings of `LATER` that stand at their defaults."""
    kept = {}
    for key, value in config.items():
        name = above + key
        asked = _asked(value, f"{name}.") if isinstance(value, Mapping) else value
        if name not in LATER or asked != LATER[name]:
            kept[key] = asked
    return kept
