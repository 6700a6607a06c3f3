"""No secret of a command line is in anything that the command wrote or said."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.commands.cli import QUICK, call, told

PASSWORD = "Pa55-word@Qx7-Ky3-Zw9"
TOKEN = "hf_" + "Z9" * 12
SECRETS = (
    f"tracker.uri=https://me:{PASSWORD}@host/path",
    f'tracker.tags=["my_{TOKEN}"]',
)


def written(folder: Path) -> str:
    """Everything under `folder`, names included."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert files
    return "\n".join(f"{path}\n{path.read_bytes().decode(errors='replace')}" for path in files)


def hold_a_secret(text: str) -> bool:
    return any(part in text for part in (PASSWORD, PASSWORD.partition("@")[2], TOKEN))


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("num_samples=1",), 0),
        (("-m", "num_samples=1", "seed=0,1"), 0),
        (("-m", "num_samples=1", "seed=8,abc"), 2),
        (("dataset=jsonl", f"dataset.path=https://me:{PASSWORD}@host/prompts.jsonl"), 2),
        (("-m", "num_samples=1,0"), 1),
    ],
)
def test_a_run_keeps_secrets_to_itself(
    tmp_path: Path, arguments: tuple[str, ...], code: int
) -> None:
    done = call(tmp_path, *arguments, *QUICK, *SECRETS)
    assert done.returncode == code, done.stderr
    assert not hold_a_secret(written(tmp_path))
    assert not hold_a_secret(told(tmp_path))
