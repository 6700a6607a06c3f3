"""vLLM's server: `POST /v1/completions` and `GET /metrics` (read from 0.32.0).

It is to run with `--per-request-spec-decode-metrics detailed --enable-per-request-metrics`; where
the answers hold no such metrics, the counters tell the totals.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from eagle_bench.engines.reply import Counters, Reply, at_positions, positions, read_series, total
from eagle_bench.figures.counts import counted
from eagle_bench.records.counts import Counts

STOPS = {"length": "length", "stop": "eos"}
PREFIX = "vllm:"
SPECULATIVE = f"{PREFIX}spec_decode_num_"


@dataclass(frozen=True)
class Vllm:
    """How vLLM is asked, and how its answers are read.

    Attributes
    ----------
    model : str
        The name under which the server serves it.
    ignore_eos : bool
        Whether it goes on behind the end token.
    """

    model: str
    ignore_eos: bool = False

    path = "/v1/completions"
    about_path = "/version"
    serves_models = True

    def build_request(self, tokens: list[int], gen_len: int) -> dict[str, Any]:
        """The body that continues `tokens` greedily."""
        return {
            "model": self.model,
            "prompt": tokens,
            "max_tokens": gen_len,
            "temperature": 0,
            "ignore_eos": self.ignore_eos,
            "return_token_ids": True,
            "seed": 0,
        }

    def read_reply(self, body: dict[str, Any]) -> Reply:
        """The answer in `body`."""
        [choice], usage = body["choices"], body["usage"]
        metrics = body.get("metrics") or {}
        told = metrics.get("speculative_decoding")
        details = usage.get("prompt_tokens_details")
        lengths = told.get("per_step_accepted") if told else None
        return Reply(
            tokens=choice.get("token_ids"),
            text=choice.get("text", ""),
            new_tokens=usage["completion_tokens"],
            stop_reason=STOPS[choice["finish_reason"]],
            prompt_tokens=usage["prompt_tokens"],
            cached_tokens=details["cached_tokens"] if details else None,
            drafts=(told is not None) if "speculative_decoding" in metrics else None,
            drafted=told["num_draft_tokens"] if told else None,
            accepted=told["num_accepted_draft_tokens"] if told else None,
            rounds=told["num_spec_steps"] if told else None,
            accept_lengths=lengths and tuple(lengths),
            per_position=at_positions(told["acceptance_histogram"]) if told else None,
            prefill_s=_seconds(metrics, "time_to_first_token_ms"),
            decode_s=_seconds(metrics, "generation_time_ms"),
        )

    def read_counters(self, text: str) -> Counters | None:
        """The totals on the page `text`, over all engines and models of the server.

        An older version has other names for some.
        """
        totals = read_series(text)
        generated = total(totals, f"{PREFIX}generation_tokens_total")
        if generated is None:
            return None
        return Counters(
            generated=generated,
            target_calls=total(totals, f"{PREFIX}iteration_tokens_total_count"),
            rounds=total(totals, f"{SPECULATIVE}drafts_total"),
            drafted=total(totals, f"{SPECULATIVE}draft_tokens_total"),
            accepted=total(totals, f"{SPECULATIVE}accepted_tokens_total"),
            per_position=positions(totals, f"{SPECULATIVE}accepted_tokens_per_pos_total"),
        )

    def read_about(self, body: dict[str, Any]) -> dict[str, Any]:
        """What `about_path` tells of the server."""
        return {"version": body.get("version")}

    def most_cut(self, draft_len: int) -> int:
        """All drafts."""
        return draft_len

    def expected(
        self, accept_lengths: Sequence[int], draft_len: int, gen_len: int, behind_eos: int
    ) -> Counts:
        """What it counts in our rounds."""
        return counted(accept_lengths, draft_len)


def _seconds(metrics: dict[str, Any], name: str) -> float | None:
    return metrics[name] / 1e3 if metrics.get(name) is not None else None
