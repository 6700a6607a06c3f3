"""What ships with the package: the embedded pair, a draft model, prompts and chat templates."""

from pathlib import Path

_HERE = Path(__file__).resolve().parent

TARGET = _HERE / "target"
EAGLE3 = _HERE / "eagle3"
DRAFT_MODEL = _HERE / "draft_model"
PROMPTS = _HERE / "prompts.jsonl"
TEMPLATES = _HERE / "templates"
