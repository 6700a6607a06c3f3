"""An arm whose tokens a server generates, one request at a time."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from typing import Any, Protocol

from eagle_bench.engines.reply import Counters, Reply
from eagle_bench.engines.server import Server
from eagle_bench.errors import RunFailure
from eagle_bench.records.counts import Counts
from eagle_bench.records.generation import Generation, Request


class Dialect(Protocol):
    """How an engine is asked and how its answers are read; each engine's module is one."""

    @property
    def PATH(self) -> str: ...

    def build_request(self, tokens: list[int], gen_len: int) -> dict[str, Any]: ...

    def read_reply(self, body: dict[str, Any]) -> Reply: ...

    def read_counters(self, text: str) -> Counters: ...


class ServedArm:
    """A server that drafts `draft_len` tokens a round, or with 0 none."""

    def __init__(self, name: str, server: Server, dialect: Dialect, draft_len: int) -> None:
        self.name = name
        self.max_nodes = self.max_extended = draft_len
        self._server = server
        self._dialect = dialect

    def generate(self, requests: Iterable[Request], batch_size: int = 1) -> Iterator[Generation]:
        """One after the other; the counters are read outside the timed region.

        Raises
        ------
        RunFailure
            The server is gone, or its answer is not of this request or this arm.
        """
        for request in requests:
            before = self._counters()
            started_s = time.perf_counter()
            body = self._server.post(
                self._dialect.PATH, self._dialect.build_request(request.tokens, request.gen_len)
            )
            wall_s = time.perf_counter() - started_s
            reply = self._dialect.read_reply(body)
            counts = self._counted(request, reply, self._counters().since(before))
            yield Generation(
                request,
                tokens=reply.tokens,
                stop_reason=reply.stop_reason,
                target_calls=counts.target_calls,
                told=counts,
                started_s=started_s,
                prefill_s=min(reply.prefill_s or 0.0, wall_s),
                wall_s=wall_s,
            )

    def _counters(self) -> Counters:
        return self._dialect.read_counters(self._server.get("/metrics"))

    def _counted(self, request: Request, reply: Reply, seen: Counters) -> Counts:
        """The counts of one answer, once it and the counters agree on whose it is."""
        unseen = (0,) * (self.max_nodes - len(seen.per_position))
        counts = Counts(
            rounds=seen.rounds,
            drafted=seen.drafted,
            accepted=seen.accepted,
            plain=seen.target_calls - 1 - seen.rounds,
            per_position=seen.per_position + unseen,
        )
        faults = {
            f"the prompt has {len(request.tokens)} tokens, and it computed {reply.prompt_tokens}": (
                reply.prompt_tokens != len(request.tokens)
            ),
            f"the arm {self.name} was answered by a server that "
            f"{'drafts' if reply.drafts else 'does not draft'}": (
                reply.drafts is not bool(self.max_nodes)
            ),
            f"it answered {len(reply.tokens)} tokens and counted {seen.generated}: somebody else "
            "asks it, too": len(reply.tokens) != seen.generated,
            f"{counts.emitted()} tokens follow from its counts {counts}, not the "
            f"{len(reply.tokens)} of its answer": counts.emitted() != len(reply.tokens),
        }
        for fault, there in faults.items():
            if there:
                raise RunFailure(f"the engine's answer to {request.key} cannot be used: {fault}.")
        return counts
