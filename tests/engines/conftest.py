"""The embedded pair, loaded once for the tests of engines."""

from __future__ import annotations

import pytest
from engine_run import engine_config

from eagle_bench.engines.session import Loader, Session


@pytest.fixture(scope="session")
def session() -> Session:
    return Loader().session(engine_config())
