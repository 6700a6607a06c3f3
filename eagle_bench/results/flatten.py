"""Nested results as columns and columns as something every file format can hold."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pandas as pd
from pandas.api.types import is_object_dtype


def flatten(nested: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Join the keys of nested mappings with dots; lists and scalars are leaves."""
    flat: dict[str, Any] = {}
    for key, value in nested.items():
        if isinstance(value, Mapping):
            flat |= flatten(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value
    return flat


def storable(frame: pd.DataFrame) -> pd.DataFrame:
    """Make every column one type: lists become JSON text, mixed scalars become text."""
    stored = frame.copy()
    for name in filter(lambda name: is_object_dtype(stored[name]), stored.columns):
        column = stored[name].map(
            lambda v: json.dumps(v) if isinstance(v, (list, tuple, dict)) else v
        )
        kinds = {type(value) for value in column.dropna()}
        if len(kinds) > 1 and not kinds <= {int, float}:
            column = column.map(lambda v: None if v is None else str(v))
        stored[name] = column.infer_objects()
    return stored
