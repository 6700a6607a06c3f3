"""What a checkpoint asks of `generate` and does not get here is said."""

from __future__ import annotations

from transformers import GenerationConfig

from eagle_bench.models.generation_config import left_out


def test_penalties_and_sampling_are_named() -> None:
    [remark] = left_out(
        GenerationConfig(do_sample=True, temperature=0.6, top_k=20, repetition_penalty=1.05)
    )
    assert "asks for repetition_penalty=1.05, temperature=0.6, top_k=20: left" in remark


def test_sampling_alone_is_named() -> None:
    assert "asks for do_sample=True: left" in left_out(GenerationConfig(do_sample=True))[0]


def test_what_changes_no_token_is_not() -> None:
    assert left_out(GenerationConfig(eos_token_id=[1, 2], max_length=99)) == ()
    assert left_out(GenerationConfig(temperature=0.6, repetition_penalty=1.0, min_p=0.0)) == ()
