"""Each engine's dialect on replies of real servers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from eagle_bench.engines.llama_cpp import LlamaCpp
from eagle_bench.engines.reply import Counters
from eagle_bench.engines.vllm import Vllm

REPLIES = Path(__file__).parent / "replies"
VLLM_PAGE = """\
# TYPE vllm:spec_decode_num_drafts_total counter
vllm:spec_decode_num_drafts_total{engine="0",model_name="m"} 16.0
vllm:spec_decode_num_drafts_created{engine="0",model_name="m"} 1.7e+09
vllm:spec_decode_num_draft_tokens_total{engine="0",model_name="m"} 64.0
vllm:spec_decode_num_accepted_tokens_total{engine="0",model_name="m"} 49.0
vllm:spec_decode_num_accepted_tokens_per_pos_total{engine="0",model_name="m",position="0"} 14.0
vllm:spec_decode_num_accepted_tokens_per_pos_total{engine="0",model_name="m",position="1"} 13.0
vllm:iteration_tokens_total_count{engine="0",model_name="m"} 17.0
vllm:generation_tokens_total{engine="0",model_name="m"} 60.0
vllm:generation_tokens_total{engine="1",model_name="m"} 4.0
"""


def reply(name: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((REPLIES / f"{name}.json").read_text())
    return document


def page(name: str) -> str:
    return (REPLIES / f"{name}.txt").read_text()


def test_llama_cpp_tells_what_it_drafted() -> None:
    read = LlamaCpp().read_reply(reply("llama_cpp_b11549_eagle3"))
    assert (read.drafts, read.drafted, read.accepted) == (True, 62, 47)
    assert (read.prompt_tokens, read.cached_tokens, len(read.tokens)) == (53, 0, 64)
    assert (read.stop_reason, read.prefill_s, read.decode_s) == ("length", 0.035474, 0.068208)
    assert read.rounds is None
    assert read.accept_lengths is None


def test_llama_cpp_baseline_says_that_it_is_one() -> None:
    read = LlamaCpp().read_reply(reply("llama_cpp_b11549_base"))
    assert (read.drafts, read.drafted, read.accepted) == (False, None, None)
    assert read.tokens == LlamaCpp().read_reply(reply("llama_cpp_b11549_eagle3")).tokens


def test_llama_cpp_counters_tell_the_rounds() -> None:
    before, after = (
        LlamaCpp().read_counters(page(f"llama_cpp_b11549_eagle3_{when}"))
        for when in ("before", "after")
    )
    assert before.per_position == ()
    assert after.since(before) == Counters(64, 17, 16, 62, 47, (14, 13, 10, 10))
    assert after.since(after) == Counters(0, 0, 0, 0, 0, (0, 0, 0, 0))


def test_llama_cpp_baseline_counts_one_call_a_token() -> None:
    before, after = (
        LlamaCpp().read_counters(page(f"llama_cpp_b11549_base_{when}"))
        for when in ("before", "after")
    )
    assert after.since(before) == Counters(64, 64, 0, 0, 0, ())


def test_vllm_tells_each_round() -> None:
    read = Vllm("m").read_reply(reply("vllm_0.32.0_eagle3"))
    assert (read.drafts, read.rounds, read.drafted, read.accepted) == (True, 16, 64, 49)
    assert read.accept_lengths == (4, 4, 4, 0, 2, 4, 4, 4, 0, 4, 4, 4, 1, 2, 4, 4)
    assert read.per_position == (14, 13, 11, 11)
    assert (read.prompt_tokens, read.cached_tokens, len(read.tokens)) == (53, None, 64)
    assert (read.stop_reason, read.decode_s) == ("length", 0.2544)


def test_vllm_baseline_says_that_it_is_one() -> None:
    body = reply("vllm_0.32.0_eagle3")
    body["metrics"]["speculative_decoding"] = None
    body["choices"][0]["finish_reason"] = "stop"
    read = Vllm("m").read_reply(body)
    assert (read.drafts, read.rounds, read.accept_lengths) == (False, None, None)
    assert read.stop_reason == "eos"


def test_vllm_counters_are_added_over_engines() -> None:
    assert Vllm("m").read_counters(VLLM_PAGE) == Counters(64, 17, 16, 64, 49, (14, 13))


def test_requests_send_ids_and_ask_for_ids() -> None:
    sent = LlamaCpp().build_request([2, 54], 64)
    assert (sent["prompt"], sent["n_predict"], sent["return_tokens"]) == ([2, 54], 64, True)
    assert sent["cache_prompt"] is False
    asked = Vllm("m", ignore_eos=True).build_request([2, 54], 64)
    assert (asked["prompt"], asked["max_tokens"], asked["return_token_ids"]) == ([2, 54], 64, True)
    assert asked["ignore_eos"] is True
