"""Any server with OpenAI's `POST /v1/completions`, whatever engine is behind it.

Text, usage and the clock are read. Counts of drafts are looked for where vLLM, SGLang and llama.cpp
put them; OpenAI's own `completion_tokens_details` count predicted outputs, and are left alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from eagle_bench.engines.reply import Counters, Reply
from eagle_bench.engines.vllm import STOPS, Vllm
from eagle_bench.figures.counts import counted
from eagle_bench.records.counts import Counts


@dataclass(frozen=True)
class OpenAI:
    """How such a server is asked, and how its answers are read; `model` is the name it serves."""

    model: str

    path = "/v1/completions"
    about_path = "/v1/models"
    serves_models = True

    def build_request(self, tokens: list[int], gen_len: int) -> dict[str, Any]:
        """The body that continues `tokens` greedily."""
        return {
            "model": self.model,
            "prompt": tokens,
            "max_tokens": gen_len,
            "temperature": 0,
            "return_token_ids": True,
            "seed": 0,
        }

    def read_reply(self, body: dict[str, Any]) -> Reply:
        """The answer in `body`."""
        if "metrics" in body:
            return Vllm(self.model).read_reply(body)
        [choice], usage = body["choices"], body["usage"]
        plain = Reply(
            tokens=choice.get("token_ids"),
            text=choice["text"],
            new_tokens=usage["completion_tokens"],
            stop_reason=STOPS[choice["finish_reason"]],
            prompt_tokens=usage["prompt_tokens"],
        )
        details = (body.get("sglext") or {}).get("spec_tokens_details")
        told = details or choice.get("meta_info") or {}
        if "spec_verify_ct" in told:
            return replace(
                plain,
                drafts=True,
                rounds=told["spec_verify_ct"],
                drafted=told.get("spec_num_proposed_drafts"),
                accepted=told.get("spec_num_correct_drafts"),
            )
        timings = body.get("timings") or {}
        if "draft_n" in timings:
            drafted, accepted = timings["draft_n"], timings["draft_n_accepted"]
            return replace(plain, drafts=True, drafted=drafted, accepted=accepted)
        return plain

    def read_counters(self, text: str) -> Counters | None:
        """None: whose they are is not known."""
        return None

    def read_about(self, body: dict[str, Any]) -> dict[str, Any]:
        """What `about_path` tells of the server."""
        return {"models": [each["id"] for each in body["data"]]}

    def most_cut(self, draft_len: int) -> int:
        """All drafts."""
        return draft_len

    def expected(
        self, accept_lengths: Sequence[int], draft_len: int, gen_len: int, behind_eos: int
    ) -> Counts:
        """What it counts in our rounds."""
        return counted(accept_lengths, draft_len)
