"""What a checkpoint's generation_config.json asks for and a measured run leaves out."""

from __future__ import annotations

from typing import Any

SETTINGS = ("temperature", "top_p", "top_k")
"""Sampling that the user sets, whatever the checkpoint asks for."""
RULES = (
    *("min_p", "typical_p", "epsilon_cutoff", "eta_cutoff", "num_beams", "penalty_alpha"),
    *("repetition_penalty", "no_repeat_ngram_size", "encoder_repetition_penalty"),
    *("bad_words_ids", "suppress_tokens", "begin_suppress_tokens", "forced_bos_token_id"),
    *("forced_eos_token_id", "min_length", "min_new_tokens", "sequence_bias", "stop_strings"),
    *("guidance_scale", "watermarking_config", "exponential_decay_length_penalty"),
)
"""Keys by which `generate` would choose other tokens."""
NEUTRAL: tuple[Any, ...] = (None, 0, 1, [], {})


def left_out(generation_config: Any) -> tuple[str, ...]:
    """The remark about what is asked for and does not happen here; none where nothing is."""
    asked = generation_config.to_diff_dict()
    found = [f"{key}={asked[key]}" for key in RULES if asked.get(key) not in NEUTRAL]
    if asked.get("do_sample"):
        found += [f"{key}={asked[key]}" for key in SETTINGS if key in asked] or ["do_sample=True"]
    if not found:
        return ()
    return (
        f"The target's generation_config asks for {', '.join(found)}: left out in both arms; "
        f"sampling is by the settings {', '.join(SETTINGS)}.",
    )
