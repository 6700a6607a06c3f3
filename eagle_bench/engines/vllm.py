"""vLLM's server: `POST /v1/completions` and `GET /metrics` (read from 0.32.0).

The server runs with `--per-request-spec-decode-metrics detailed --enable-per-request-metrics`.
"""

from __future__ import annotations

from typing import Any

from eagle_bench.engines.reply import Counters, Reply, positions, read_series

PATH = "/v1/completions"
STOPS = {"length": "length", "stop": "eos"}
PREFIX = "vllm:"
SPECULATIVE = f"{PREFIX}spec_decode_num_"


def build_request(
    tokens: list[int], gen_len: int, model: str, *, ignore_eos: bool
) -> dict[str, Any]:
    """The body that continues `tokens` greedily; with `ignore_eos` on behind the end token."""
    return {
        "model": model,
        "prompt": tokens,
        "max_tokens": gen_len,
        "temperature": 0,
        "ignore_eos": ignore_eos,
        "return_token_ids": True,
        "seed": 0,
    }


def read_reply(body: dict[str, Any]) -> Reply:
    """The answer in `body`."""
    [choice], usage, metrics = body["choices"], body["usage"], body["metrics"]
    told = metrics["speculative_decoding"]
    details = usage["prompt_tokens_details"]
    return Reply(
        tokens=choice["token_ids"],
        prompt_tokens=usage["prompt_tokens"],
        cached_tokens=details["cached_tokens"] if details else None,
        stop_reason=STOPS[choice["finish_reason"]],
        drafts=told is not None,
        drafted=told["num_draft_tokens"] if told else None,
        accepted=told["num_accepted_draft_tokens"] if told else None,
        rounds=told["num_spec_steps"] if told else None,
        accept_lengths=told.get("per_step_accepted") if told else None,
        prefill_s=metrics["time_to_first_token_ms"] / 1e3,
        decode_s=metrics["generation_time_ms"] / 1e3,
    )


def read_counters(text: str) -> Counters:
    """The totals on the page `text`, over all engines and models of the server."""
    totals = read_series(text)
    return Counters(
        generated=int(totals[f"{PREFIX}generation_tokens_total"]),
        target_calls=int(totals[f"{PREFIX}iteration_tokens_total_count"]),
        rounds=int(totals.get(f"{SPECULATIVE}drafts_total", 0)),
        drafted=int(totals.get(f"{SPECULATIVE}draft_tokens_total", 0)),
        accepted=int(totals.get(f"{SPECULATIVE}accepted_tokens_total", 0)),
        per_position=positions(totals, f"{SPECULATIVE}accepted_tokens_per_pos_total"),
    )
