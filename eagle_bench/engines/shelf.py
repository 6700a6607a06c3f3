"""The servers that a job started, kept for the next job of the process that they fit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from eagle_bench.engines.server import Server

Servers = tuple[Server, ...]


@dataclass
class Shelf:
    """Holds the servers of one job at a time: idle ones would disturb what is measured next."""

    _fit: tuple[Any, ...] = ()
    _servers: Servers = ()

    def take(self, fit: tuple[Any, ...], start: Callable[[], Servers]) -> Servers:
        """Servers for all that `fit` holds: those of the last job if they run, else new ones."""
        if fit != self._fit or not all(server.runs for server in self._servers):
            self.clear()
            self._servers = start()
            self._fit = fit
        return self._servers

    def clear(self) -> None:
        """End all servers."""
        for server in self._servers:
            server.close()
        self._fit, self._servers = (), ()
