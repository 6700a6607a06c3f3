"""Talking to a server over HTTP, in sentences where that fails."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Callable
from http.client import HTTPException
from typing import Any
from urllib.error import HTTPError
from urllib.parse import unquote, urlsplit
from urllib.request import ProxyHandler, Request, build_opener

from eagle_bench.errors import RunFailure, UserError

MOST_SAID = 300


def nothing_more() -> str:
    """What is known of a server that somebody else started, beside its answers."""
    return ""


class Client:
    """Asks one server.

    Parameters
    ----------
    url : str
        `http://HOST:PORT`; a user and password in it become a header, and stand in no message.
    timeout_s : float
        The longest wait for an answer.
    key : str or None
        Sent as a bearer token.
    beside : callable
        What else is known of the server once it is gone.

    Raises
    ------
    UserError
        `url` is none.
    """

    def __init__(
        self,
        url: str,
        timeout_s: float = 600.0,
        key: str | None = None,
        beside: Callable[[], str] = nothing_more,
    ) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise UserError("engine.url and engine.baseline_url must be http://HOST:PORT each.")
        self.url = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path.rstrip('/')}"
        self._headers = {"Content-Type": "application/json"}
        if parts.username is not None:
            pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
            self._headers["Authorization"] = f"Basic {b64encode(pair.encode()).decode()}"
        if key is not None:
            self._headers["Authorization"] = f"Bearer {key}"
        self._timeout_s = timeout_s
        self._beside = beside
        self._opener = build_opener(ProxyHandler({}))

    def get(self, path: str) -> str:
        """The page at `path`.

        Raises
        ------
        RunFailure
            There is none, for a reason that the sentence tells.
        """
        return self._ask(path, None)

    def answers(self, path: str) -> bool:
        """Whether there is a page at `path`."""
        try:
            self.get(path)
        except RunFailure:
            return False
        return True

    def get_json(self, path: str) -> dict[str, Any]:
        """As `get`, of a JSON object."""
        return self._object(path, self.get(path))

    def post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """The JSON object that answers `body`; raises as `get`."""
        return self._object(path, self._ask(path, json.dumps(body).encode()))

    def _object(self, path: str, text: str) -> dict[str, Any]:
        try:
            answer = json.loads(text)
        except ValueError:
            answer = None
        if not isinstance(answer, dict):
            raise RunFailure(f"the server at {self.url} answered {path} with no JSON object.")
        return answer

    def _ask(self, path: str, sent: bytes | None) -> str:
        request = Request(self.url + path, sent, self._headers)
        try:
            with self._opener.open(request, timeout=self._timeout_s) as answer:
                text: str = answer.read().decode(errors="replace")
                return text
        except HTTPError as error:
            said = " ".join(error.read().decode(errors="replace").split())[:MOST_SAID]
            raise RunFailure(
                f"the server at {self.url} answered {error.code} {error.reason} to {path}: {said}"
            ) from error
        except (OSError, HTTPException) as error:
            reason = getattr(error, "reason", None) or error
            if isinstance(reason, TimeoutError):
                raise RunFailure(
                    f"the server at {self.url} did not answer {path} within {self._timeout_s:g} s "
                    "(engine.timeout_s)."
                ) from error
            raise RunFailure(
                f"no server answers at {self.url} ({reason}){self._beside()}"
            ) from error
