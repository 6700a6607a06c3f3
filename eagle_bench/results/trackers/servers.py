"""Servers that do not answer: noticed within seconds, told once, then left alone."""

from __future__ import annotations

import ssl
from http.client import HTTPException
from threading import Thread
from urllib.error import HTTPError, URLError
from urllib.request import urlopen

from eagle_bench.records.scrub import scrub
from eagle_bench.results.trackers.tracker import Say

PATIENCE_S = 4.0

_GIVEN_UP: set[str] = set()
"""Those that this process no longer asks."""


def give_up(server: str, sentence: str, say: Say) -> None:
    """Ask `server` no more in this process; say why, once."""
    if server not in _GIVEN_UP:
        say(scrub(sentence))
    _GIVEN_UP.add(server)


def answers(server: str, instead: str, say: Say) -> bool:
    """Whether anything answers at an HTTP address, be it a refusal; if not, what is done `instead`.

    A name that takes long to look up counts as silent.
    """
    if server in _GIVEN_UP:
        return False
    heard: list[str | None] = []
    asking = Thread(target=lambda: heard.append(_silence(server)), daemon=True)
    asking.start()
    asking.join(PATIENCE_S)
    silence = heard[0] if heard else f"no answer within {PATIENCE_S:g} seconds"
    if silence:
        give_up(server, f"{server} does not answer ({silence}); {instead}.", say)
    return not silence


def _silence(server: str) -> str | None:
    try:
        urlopen(server, timeout=PATIENCE_S).close()
    except HTTPError:
        return None
    except (OSError, HTTPException, ValueError) as error:
        reason = error.reason if isinstance(error, URLError) else error
        # The service's own client has other certificates.
        return None if isinstance(reason, ssl.SSLError) else str(reason)
    return None
