"""Whether a head meets the weights that it was trained on."""

from __future__ import annotations

import json
from pathlib import Path

from eagle_bench.config.run import RunConfig
from eagle_bench.machine.checkpoints import fingerprint, on_disk

RECIPE = "recipe.json"


def other_target(config: RunConfig) -> str | None:
    """A remark where the drafter's recipe names other target weights than `config` runs.

    None where they are the same, or where there is no recipe that says.
    """
    drafter = config.drafter.checkpoints().get("drafter")
    named = config.model.checkpoint()
    target = on_disk(named, config.model.revision) if named else None
    trained_on = _trained_on(Path(drafter).expanduser()) if drafter else {}
    if target is None or not trained_on:
        return None
    seen = {name: target if target.is_file() else target / name for name in trained_on}
    same = all(
        file.is_file() and fingerprint(file) == trained_on[name] for name, file in seen.items()
    )
    if same:
        return None
    files = ", ".join(trained_on)
    return (
        f"the head of drafter={config.drafter.name} was trained on other target weights ({files}) "
        f"than model={config.model.name} has: it may accept less."
    )


def _trained_on(folder: Path) -> dict[str, str]:
    """SHA-256 of the target's weight files, by name, as the head's recipe has them."""
    try:
        recipe = json.loads((folder / RECIPE).read_text(encoding="utf-8"))
        sources: dict[str, str] = recipe["sources"]["target"]
    except (OSError, ValueError, KeyError, TypeError):
        return {}
    return sources
