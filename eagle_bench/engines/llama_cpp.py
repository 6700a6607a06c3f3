"""llama.cpp's server: `POST /completion` and `GET /metrics` (read from b11549).

Rounds are in the counters alone. An answer's `drafted` and `accepted` are None on the baseline.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from eagle_bench.engines.reply import Counters, Reply, positions, read_series
from eagle_bench.figures.counts import clipped
from eagle_bench.records.counts import Counts

STOPS = {"limit": "length", "eos": "eos"}
PREFIX = "llamacpp:"
SPECULATIVE = f"{PREFIX}spec_decode_num_"


class LlamaCpp:
    """How llama.cpp is asked, and how its answers are read."""

    path = "/completion"
    about_path = "/props"
    serves_models = False

    def build_request(self, tokens: list[int], gen_len: int) -> dict[str, Any]:
        """The body that continues `tokens` greedily up to the end token or `gen_len` tokens."""
        return {
            "prompt": tokens,
            "n_predict": gen_len,
            "temperature": 0,
            "cache_prompt": False,
            "return_tokens": True,
            "seed": 0,
        }

    def read_reply(self, body: dict[str, Any]) -> Reply:
        """The answer in `body`."""
        timings = body["timings"]
        drafts = body["generation_settings"]["speculative.types"] != "none"
        return Reply(
            tokens=body["tokens"],
            new_tokens=timings["predicted_n"],
            prompt_tokens=timings["prompt_n"],
            cached_tokens=timings["cache_n"],
            stop_reason=STOPS[body["stop_type"]],
            drafts=drafts,
            drafted=timings.get("draft_n", 0) if drafts else None,
            accepted=timings.get("draft_n_accepted", 0) if drafts else None,
            prefill_s=timings["prompt_ms"] / 1e3,
            decode_s=timings["predicted_ms"] / 1e3,
        )

    def read_counters(self, text: str) -> Counters:
        """The totals on the page `text`; no draft was ever made where it has no such series."""
        totals = read_series(text)
        return Counters(
            generated=int(totals[f"{PREFIX}tokens_predicted_total"]),
            target_calls=int(totals[f"{PREFIX}n_decode_total"]),
            rounds=int(totals.get(f"{SPECULATIVE}drafts_total", 0)),
            drafted=int(totals.get(f"{SPECULATIVE}draft_tokens_total", 0)),
            accepted=int(totals.get(f"{SPECULATIVE}accepted_tokens_total", 0)),
            per_position=positions(totals, f"{SPECULATIVE}accepted_tokens_per_pos_total"),
        )

    def read_about(self, body: dict[str, Any]) -> dict[str, Any]:
        """What `about_path` tells of the server."""
        return {key: body.get(key) for key in ("build_info", "model_path", "total_slots")}

    def most_cut(self, draft_len: int) -> int:
        """What is behind an end token that is the round's last draft."""
        return min(draft_len, 1)

    def expected(
        self, accept_lengths: Sequence[int], draft_len: int, gen_len: int, behind_eos: int
    ) -> Counts:
        """What it counts in our rounds."""
        return clipped(accept_lengths, draft_len, gen_len, behind_eos)
