"""SGLang's server, `POST /generate`: not run against the engine, written from its 0.5.23 sources.

The server is to run with `--disable-radix-cache --speculative-eagle-topk 1`. Its counters are
gauges over all time, so that the answers alone tell the counts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from eagle_bench.engines.reply import Counters, Reply, at_positions
from eagle_bench.figures.counts import counted
from eagle_bench.records.counts import Counts

STOPS = {"length": "length", "stop": "eos"}


@dataclass(frozen=True)
class SGLang:
    """How SGLang is asked, and how its answers are read.

    Attributes
    ----------
    ignore_eos : bool
        Whether it goes on behind the end token.
    """

    ignore_eos: bool = False

    path = "/generate"
    about_path = "/server_info"
    serves_models = False

    def build_request(self, tokens: list[int], gen_len: int) -> dict[str, Any]:
        """The body that continues `tokens` greedily."""
        return {
            "input_ids": tokens,
            "sampling_params": {
                "temperature": 0,
                "max_new_tokens": gen_len,
                "ignore_eos": self.ignore_eos,
            },
        }

    def read_reply(self, body: dict[str, Any]) -> Reply:
        """The answer in `body`."""
        told = body["meta_info"]
        histogram = told.get("spec_correct_drafts_histogram")
        return Reply(
            tokens=body["output_ids"],
            new_tokens=told["completion_tokens"],
            stop_reason=STOPS[told["finish_reason"]["type"]],
            prompt_tokens=told["prompt_tokens"],
            cached_tokens=told.get("cached_tokens"),
            drafts="spec_verify_ct" in told,
            drafted=told.get("spec_num_proposed_drafts"),
            accepted=told.get("spec_num_correct_drafts"),
            rounds=told.get("spec_verify_ct"),
            per_position=at_positions(histogram) if histogram else None,
        )

    def read_counters(self, text: str) -> Counters | None:
        """None: it has no totals of these."""
        return None

    def read_about(self, body: dict[str, Any]) -> dict[str, Any]:
        """What `about_path` tells of the server."""
        return {key: body.get(key) for key in ("version", "model_path", "speculative_algorithm")}

    def most_cut(self, draft_len: int) -> int:
        """All drafts."""
        return draft_len

    def expected(
        self, accept_lengths: Sequence[int], draft_len: int, gen_len: int, behind_eos: int
    ) -> Counts:
        """What it counts in our rounds."""
        return counted(accept_lengths, draft_len)
