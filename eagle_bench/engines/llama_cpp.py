"""llama.cpp's server: `POST /completion` and `GET /metrics` (read from b11549).

Rounds are in the counters alone. An answer's `drafted` and `accepted` are None on the baseline.
"""

from __future__ import annotations

from typing import Any

from eagle_bench.engines.reply import Counters, Reply, positions, read_series

PATH = "/completion"
STOPS = {"limit": "length", "eos": "eos"}
PREFIX = "llamacpp:"
SPECULATIVE = f"{PREFIX}spec_decode_num_"


def build_request(tokens: list[int], gen_len: int) -> dict[str, Any]:
    """The body that continues `tokens` greedily up to the end token or `gen_len` tokens."""
    return {
        "prompt": tokens,
        "n_predict": gen_len,
        "temperature": 0,
        "cache_prompt": False,
        "return_tokens": True,
        "seed": 0,
    }


def read_reply(body: dict[str, Any]) -> Reply:
    """The answer in `body`."""
    timings = body["timings"]
    drafts = body["generation_settings"]["speculative.types"] != "none"
    return Reply(
        tokens=body["tokens"],
        prompt_tokens=timings["prompt_n"],
        cached_tokens=timings["cache_n"],
        stop_reason=STOPS[body["stop_type"]],
        drafts=drafts,
        drafted=timings.get("draft_n", 0) if drafts else None,
        accepted=timings.get("draft_n_accepted", 0) if drafts else None,
        rounds=None,
        accept_lengths=None,
        prefill_s=timings["prompt_ms"] / 1e3,
        decode_s=timings["predicted_ms"] / 1e3,
    )


def read_counters(text: str) -> Counters:
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
