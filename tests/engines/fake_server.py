"""Servers in each engine's dialect that really draft, with our own loop: the counts are known."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from eagle_bench.records.generation import Arm, Generation, Request

Body = dict[str, Any]


class Fake:
    """What such a server knows.

    `answers` is the number of requests after which it dies, `text` gives what ids stand for, and
    an `old` server tells no more than what it generated.
    """

    def __init__(
        self, arm: Arm, dialect: str, text: Callable[[list[int]], str], answers: int | None = None
    ) -> None:
        self.arm, self.dialect, self.text, self.answers = arm, dialect, text, answers
        self.old = False
        self.drafts = arm.max_nodes > 0
        self.seen: list[dict[str, str]] = []
        self.totals = {"tokens": 0, "calls": 0, "rounds": 0, "drafted": 0, "accepted": 0}

    def generate(self, tokens: list[int], gen_len: int) -> Generation:
        [said] = self.arm.generate([Request("", tokens, gen_len)])
        drafted = sum(each.nodes for each in said.rounds) if self.drafts else 0
        for name, more in {
            "tokens": len(said.tokens),
            "calls": said.target_calls,
            "rounds": len(said.rounds) if self.drafts else 0,
            "drafted": drafted,
            "accepted": sum(said.accept_lengths),
        }.items():
            self.totals[name] += more
        return said

    def page(self, path: str) -> Body | str | None:
        """What is at `path`."""
        counters = {
            "vllm:generation_tokens_total": "tokens",
            "vllm:iteration_tokens_total_count": "calls",
            "vllm:spec_decode_num_drafts_total": "rounds",
            "vllm:spec_decode_num_draft_tokens_total": "drafted",
            "vllm:spec_decode_num_accepted_tokens_total": "accepted",
        }
        if self.old:
            counters = {"vllm:generation_tokens_total": "tokens"}
        pages: dict[str, Body | str] = {
            "/metrics": "".join(f"{key} {self.totals[name]}\n" for key, name in counters.items()),
            "/version": {"version": "0.32.0"},
            "/v1/models": {"data": [{"id": "m"}]},
            "/server_info": {"version": "0.5.23"},
        }
        return pages.get(path)

    def answer(self, sent: Body) -> Body:
        if self.dialect == "sglang":
            wanted = sent["sampling_params"]["max_new_tokens"]
            return self._sglang(self.generate(sent["input_ids"], wanted), len(sent["input_ids"]))
        said = self.generate(sent["prompt"], sent["max_tokens"])
        prompt, new = len(sent["prompt"]), len(said.tokens)
        reason = "stop" if said.stop_reason == "eos" else "length"
        choice: Body = {"text": self.text(said.tokens), "finish_reason": reason}
        usage = {"prompt_tokens": prompt, "completion_tokens": new}
        body: Body = {"choices": [choice], "usage": usage}
        if self.dialect == "vllm":
            choice["token_ids"] = said.tokens
        if self.dialect == "vllm" and not self.old:
            lengths = said.accept_lengths
            told = {
                "num_draft_tokens": sum(each.nodes for each in said.rounds),
                "num_accepted_draft_tokens": sum(lengths),
                "num_spec_steps": len(lengths),
                "per_step_accepted": lengths,
                "acceptance_histogram": self._histogram(lengths),
            }
            body["metrics"] = {"speculative_decoding": told if self.drafts else None}
        return body

    def _sglang(self, said: Generation, prompt: int) -> Body:
        reason = "stop" if said.stop_reason == "eos" else "length"
        told: Body = {
            "finish_reason": {"type": reason},
            "prompt_tokens": prompt,
            "completion_tokens": len(said.tokens),
        }
        if self.drafts:
            told |= {
                "spec_verify_ct": len(said.rounds),
                "spec_num_correct_drafts": sum(said.accept_lengths),
                "spec_num_proposed_drafts": sum(each.nodes for each in said.rounds),
                "spec_correct_drafts_histogram": self._histogram(said.accept_lengths),
            }
        return {"text": "", "output_ids": said.tokens, "meta_info": told}

    def _histogram(self, lengths: list[int]) -> list[int]:
        return [lengths.count(accepted) for accepted in range(self.arm.max_nodes + 1)]


@contextmanager
def serving(fake: Fake, port: int = 0) -> Iterator[int]:
    """The port on which `fake` answers."""

    class Pages(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            fake.seen.append(dict(self.headers))
            page = fake.page(self.path)
            self._say(404 if page is None else 200, page or "nothing here")

        def do_POST(self) -> None:
            sent = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            if fake.answers is not None:
                fake.answers -= 1
                if fake.answers < 0:
                    self.connection.close()
                    return
            self._say(200, fake.answer(sent))

        def _say(self, status: int, page: Body | str) -> None:
            self.send_response(status)
            self.end_headers()
            self.wfile.write((page if isinstance(page, str) else json.dumps(page)).encode())

        def log_message(self, *_: Any) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", port), Pages)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()
