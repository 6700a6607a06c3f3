"""eagle_bench: how much EAGLE-3 speculative decoding speeds up your target, measured."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from eagle_bench.machine.signals import end_in_a_sentence

if TYPE_CHECKING:
    from eagle_bench.results.collect import Results, load_results

__version__ = "0.1.0"
__all__ = ["Results", "__version__", "load_results"]

if sys.argv[:1] == ["-m"]:  # `python -m eagle_bench.X`, which has yet to import the rest.
    end_in_a_sentence()


def __getattr__(name: str) -> Any:
    """Import pandas only when a notebook asks for results."""
    if name in ("Results", "load_results"):
        from eagle_bench.results import collect

        return getattr(collect, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
