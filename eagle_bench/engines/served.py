"""An arm whose tokens a server generates."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any, Protocol

from eagle_bench.engines.http import Client
from eagle_bench.engines.reply import Counters, Reply
from eagle_bench.errors import RunFailure
from eagle_bench.records.counts import Counts, Told
from eagle_bench.records.generation import Generation, Request

COUNTERS_PATH = "/metrics"


class Dialect(Protocol):
    """How an engine is asked and how its answers are read: nothing of it talks to a server."""

    @property
    def path(self) -> str: ...

    @property
    def about_path(self) -> str:
        """A JSON page that tells which server this is."""
        ...

    @property
    def serves_models(self) -> bool:
        """Whether a request names one of the models that the server serves."""
        ...

    def most_cut(self, draft_len: int) -> int:
        """The most tokens of the last round that it verifies and then cuts off."""
        ...

    def build_request(self, tokens: list[int], gen_len: int) -> dict[str, Any]: ...

    def read_reply(self, body: dict[str, Any]) -> Reply: ...

    def read_counters(self, text: str) -> Counters | None:
        """The totals on the server's page of counters; None where they tell nothing."""
        ...

    def read_about(self, body: dict[str, Any]) -> dict[str, Any]: ...

    def expected(
        self, accept_lengths: Sequence[int], draft_len: int, gen_len: int, behind_eos: int
    ) -> Counts:
        """What the engine, if faithful, counts where our chain accepted `accept_lengths`."""
        ...


class ServedArm:
    """A server that drafts `draft_len` tokens a round, or with 0 none.

    Parameters
    ----------
    encode : callable
        Token ids of a text, for a server that sends no ids.
    """

    def __init__(
        self,
        name: str,
        client: Client,
        dialect: Dialect,
        draft_len: int,
        encode: Callable[[str], list[int]],
    ) -> None:
        self.name = name
        self.max_nodes = self.max_extended = draft_len
        self.client = client
        self.dialect = dialect
        self._encode = encode

    def generate(self, requests: Iterable[Request], batch_size: int = 1) -> Iterator[Generation]:
        """One after the other; the counters are read outside the timed regions.

        Raises
        ------
        RunFailure
            The server is gone, or its answer is not of this request or this arm.
        """
        for request in requests:
            before = self._counters()
            generation, reply = self._ask(request)
            after = self._counters()
            seen = after.since(before) if before and after else None
            yield self._told(generation, reply, seen)

    def _ask(self, request: Request) -> tuple[Generation, Reply]:
        body = self.dialect.build_request(request.tokens, request.gen_len)
        started_s = time.perf_counter()
        answer = self.client.post(self.dialect.path, body)
        wall_s = time.perf_counter() - started_s
        try:
            reply = self.dialect.read_reply(answer)
        except (KeyError, TypeError, ValueError) as error:
            raise RunFailure(
                f"the server at {self.client.url} answered {self.dialect.path} in a form that this "
                f"engine= does not read ({type(error).__name__}: {error})."
            ) from error
        tokens = self._encode(reply.text) if reply.tokens is None else reply.tokens
        generation = Generation(
            request,
            tokens=tokens,
            stop_reason=reply.stop_reason,
            started_s=started_s,
            prefill_s=min(reply.prefill_s or 0.0, wall_s),
            wall_s=wall_s,
        )
        return generation, reply

    def _counters(self) -> Counters | None:
        try:
            return self.dialect.read_counters(self.client.get(COUNTERS_PATH))
        except KeyError as error:
            raise RunFailure(
                f"the server at {self.client.url} has no counter {error}: it is another engine, or "
                "too old."
            ) from error

    def _alone(self, tokens: int, seen: Counters) -> None:
        if tokens != seen.generated:
            raise RunFailure(
                f"the server at {self.client.url} answered {tokens} tokens and counted "
                f"{seen.generated}: somebody else asks it, too."
            )

    def _told(self, generation: Generation, reply: Reply, seen: Counters | None) -> Generation:
        """The generation with what the server told of it, if it is this request's and this arm's.

        Where both the answer and the counters tell a count, they must agree.
        """
        if seen:
            self._alone(reply.new_tokens, seen)
        counted = Told(reply.new_tokens)
        if self.max_nodes == 0:
            counted = replace(counted, rounds=0, drafted=0, accepted=0, per_position=())
        both = {
            name: [
                value
                for source in (reply, seen)
                if (value := getattr(source, name, None)) is not None
            ]
            for name in ("rounds", "drafted", "accepted")
        }
        counted = replace(counted, **{name: found[0] for name, found in both.items() if found})
        calls = seen.target_calls if seen else None
        if calls is None and counted.accepted is not None:
            calls = max(1 + (counted.rounds or 0), reply.new_tokens - counted.accepted)
        overshoot = (
            calls + counted.accepted - reply.new_tokens
            if calls and counted.accepted is not None
            else 0
        )
        positions = reply.per_position or (seen.per_position if seen else None)
        if positions is not None and self.max_nodes:
            positions += (0,) * (self.max_nodes - len(positions))
        told = replace(
            counted,
            target_calls=calls,
            overshoot=overshoot,
            accept_lengths=reply.accept_lengths,
            per_position=counted.per_position if positions is None else positions,
        )
        self._check(generation.request, reply, told, both)
        return replace(generation, told=told, target_calls=calls or 0)

    def _check(
        self, request: Request, reply: Reply, told: Told, both: dict[str, list[int]]
    ) -> None:
        most_cut = self.dialect.most_cut(self.max_nodes)
        faults = {
            f"the prompt has {len(request.tokens)} tokens, and it computed {reply.prompt_tokens}": (
                reply.prompt_tokens not in (None, len(request.tokens))
            ),
            f"it took {reply.cached_tokens} tokens of the prompt from a cache, so start it without "
            "one": bool(reply.cached_tokens),
            f"the arm {self.name} was answered by a server that "
            f"{'drafts' if reply.drafts else 'does not draft'}": (
                reply.drafts not in (None, bool(self.max_nodes))
            ),
            f"its answer and its counters disagree ({both})": any(
                len(set(values)) > 1 for values in both.values()
            ),
            f"it drafted {told.drafted} tokens in {told.rounds} rounds, and draft_len is "
            f"{self.max_nodes}": (
                told.rounds is not None and (told.drafted or 0) > self.max_nodes * told.rounds
            ),
            f"{told.new_tokens + told.overshoot} tokens follow from its counts {told}, not the "
            f"{told.new_tokens} of its answer": not 0 <= told.overshoot <= most_cut,
        }
        for fault, there in faults.items():
            if there:
                raise RunFailure(f"the engine's answer to {request.key} cannot be used: {fault}.")
