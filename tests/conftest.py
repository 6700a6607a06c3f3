"""What every test starts from, whatever started pytest and whatever ran before."""

from __future__ import annotations

import signal

import pytest

signal.signal(signal.SIGINT, signal.default_int_handler)  # A shell's background job ignores it.


@pytest.fixture(autouse=True)
def _plain_errors(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hydra's errors as a user sees them."""
    monkeypatch.setenv("HYDRA_FULL_ERROR", "0")
