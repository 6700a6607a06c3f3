"""Starting an engine's two servers, without drafts and with them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from eagle_bench.config.run import RunConfig
from eagle_bench.data.prompt import Prompt
from eagle_bench.engines.fit import most_context
from eagle_bench.engines.server import Server
from eagle_bench.engines.session import Session
from eagle_bench.engines.shelf import Servers

STEP = 1024
"""Tokens by which a server's context grows, so that jobs of near lengths share it."""


@dataclass(frozen=True)
class Launch:
    """What starts a server that listens on `port`.

    Attributes
    ----------
    environment : mapping
        Variables that the server gets unless the person has set them otherwise.
    """

    command: list[str]
    port: int
    environment: Mapping[str, str] = field(default_factory=dict)


def context_of(config: RunConfig, session: Session, prompts: Sequence[Prompt]) -> int:
    """Tokens that a server must hold: the longest prompt with its answer and a round's drafts."""
    longest = max(most_context(session, prompt, config.gen_len) for prompt in prompts)
    needed = longest + config.gen_len + config.decoding.levels + 1
    return min(-(-needed // STEP) * STEP, session.target.spec.max_positions)


def start(launches: Sequence[Launch], logs: Sequence[Path], most_s: float) -> Servers:
    """Servers that are ready; what they print goes behind the end of `logs`.

    Raises
    ------
    RunFailure
        One ended, or is not ready within `most_s`; the others are ended, too.
    """
    servers: list[Server] = []
    try:
        for launch, log in zip(launches, logs, strict=True):
            servers.append(Server(launch.command, launch.port, log, launch.environment))
        for server in servers:
            server.wait("/health", most_s)
    except BaseException:
        for server in servers:
            server.close()
        raise
    return tuple(servers)
