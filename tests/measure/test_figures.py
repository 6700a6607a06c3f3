"""The summary against sums written out by hand or by plain loops."""

from __future__ import annotations

import json
import math
from typing import Any

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eagle_bench.figures.lossless import compare
from eagle_bench.figures.summary import summarise
from eagle_bench.records.rows import GenerationRow, RoundRow
from eagle_bench.results.flatten import flatten, storable


def figures(rows: list[GenerationRow], **settings: Any) -> dict[str, Any]:
    choices = {"gen_len": 60, "seed": 0, "resamples": 200, "confidence": 0.95}
    if "lossless" not in settings:
        settings["lossless"] = compare(rows)
    summary = summarise(rows, **(choices | settings))
    json.dumps(summary, allow_nan=False)
    return summary


def test_headline_figures_by_hand(baseline, chain):
    rows = [
        baseline("a", 9, step_s=0.01),
        chain("a", [4, 2], round_s=0.02, prefill_s=0.01),
        baseline("b", 5, step_s=0.02),
        chain("b", [0, 1, 0], overshoot=0, round_s=0.01, prefill_s=0.02),
    ]
    rows[1].token_ids = rows[0].token_ids
    summary = figures(rows)
    # a: 1 + 5 + 3 = 9 tokens in 0.05 s (baseline 0.09 s); b: 1 + 1 + 2 + 1 = 5 in 0.05 s (0.10 s)
    base, spec = summary["arms"]["baseline"], summary["arms"]["chain"]
    assert base["calls_per_token"] == 1.0
    assert base["decode_calls_per_token"] == 1.0
    assert spec["calls_per_token"] == pytest.approx(7 / 14)
    assert spec["decode_calls_per_token"] == pytest.approx(5 / 12)
    assert spec["acceptance_rate"] == pytest.approx(7 / 20)
    assert spec["tau"] == pytest.approx(12 / 5)
    assert spec["throughput_tok_s"] == pytest.approx(14 / 0.10)
    assert base["throughput_tok_s"] == pytest.approx(14 / 0.19)
    assert spec["decode_tok_s"] == pytest.approx(12 / 0.07)
    assert spec["per_position"] == pytest.approx([3 / 5, 2 / 5, 1 / 5, 1 / 5])
    assert spec["accept_histogram"] == [2, 1, 1, 0, 1]
    assert spec["per_position_conditional"] == pytest.approx([3 / 5, 2 / 3, 1 / 2, 1.0])
    speedup = summary["speedup"]
    assert speedup["pooled"] == pytest.approx(0.19 / 0.10)
    assert speedup["ratio_of_means"] == pytest.approx((180 + 100) / (100 + 50))
    assert speedup["geomean"] == pytest.approx(math.sqrt(1.8 * 2.0))
    assert speedup["decode"]["pooled"] == pytest.approx((0.08 + 0.08) / 0.07)
    assert speedup["low"] is speedup["high"] is None  # Of two prompts.
    assert summary["lossless"]["exact_share"] == 1.0
    assert summary["lossless"]["pairs"] == 2
    assert summary["prompts"] == 2
    assert summary["guards"] == []


def test_unequal_counts_are_flagged_and_left_out(baseline, chain):
    rows = [baseline("a", 9), chain("a", [4, 2]), baseline("b", 9), chain("b", [4])]
    summary = figures(rows)
    assert summary["flagged_pairs"] == 1
    assert summary["speedup"]["pairs"] == 1
    assert summary["speedup"]["pooled"] == pytest.approx(0.09 / 0.04)
    assert summary["arms"]["chain"]["new_tokens"] == 15


def test_sampled_outputs_may_differ_in_length(baseline, chain):
    rows = [baseline("a", 9), chain("a", [4, 2]), baseline("b", 9), chain("b", [4])]
    summary = figures(rows, lossless=None)
    assert summary["flagged_pairs"] == 1
    assert summary["speedup"]["pairs"] == 2
    assert summary["speedup"]["pooled"] == pytest.approx((15 / 0.065) / (18 / 0.18))
    assert summary["lossless"]["exact_share"] is None


def test_one_unequal_repeat_flags_the_whole_pair(baseline, chain):
    rows = [
        *(baseline("a", 9, repeat=repeat) for repeat in (0, 1)),
        chain("a", [4, 2], repeat=0),
        chain("a", [4, 1], repeat=1),
        baseline("b", 9),
        chain("b", [4, 2], round_s=0.03),
    ]
    summary = figures(rows)
    assert summary["flagged_pairs"] == 1
    assert summary["speedup"]["pooled"] == pytest.approx(0.09 / 0.07)


def test_rows_without_partner_count_for_their_arm_only(baseline, chain):
    rows = [baseline("a", 9), chain("a", [4, 2]), baseline("b", 9, step_s=5.0)]
    summary = figures(rows)
    assert summary["speedup"]["pairs"] == 1
    assert summary["speedup"]["pooled"] == pytest.approx(0.09 / 0.04)
    assert summary["arms"]["baseline"]["new_tokens"] == 18


def test_undefined_figures_are_null(baseline, chain):
    summary = figures([baseline("a", 1), chain("a", [])])
    spec = summary["arms"]["chain"]
    assert spec["calls_per_token"] == 1.0
    undefined = ["tau", "tau_emitted", "tau_sglang", "tau_macro", "acceptance_rate"]
    undefined += ["acceptance_of_depth", "decode_calls_per_token", "decode_tok_s"]
    assert {name: spec[name] for name in undefined} == dict.fromkeys(undefined)
    assert spec["per_position"] == []
    assert summary["speedup"]["decode"]["pooled"] is None
    assert summary["speedup"]["low"] is None


def test_a_baseline_alone_has_no_speedup(baseline):
    summary = figures([baseline("a", 5), baseline("b", 5)])
    assert summary["method"] is None
    assert summary["speedup"]["pooled"] is None
    assert summary["arms"]["baseline"]["throughput_tok_s"] == pytest.approx(100)


def test_several_methods_each_against_the_baseline(baseline, chain):
    rows = [
        baseline("a", 9),
        chain("a", [4, 2], arm="chain"),
        chain("a", [4, 2], arm="tree", round_s=0.025),
    ]
    summary = figures(rows)
    assert summary["method"] == "chain"
    assert summary["speedup"]["pooled"] == pytest.approx(0.09 / 0.04)
    assert summary["other_speedups"]["tree"]["pooled"] == pytest.approx(0.09 / 0.06)
    assert summary["lossless"]["pairs"] == 2


def test_categories_eos_memory_and_energy(baseline, chain):
    rows = [
        baseline("a", 9, category="math", energy_j=1.0),
        chain("a", [4, 2], category="math", stop_reason="eos"),
        baseline("b", 9, category="code", energy_j=3.5),
        chain("b", [4, 2], category="code", round_s=0.03, peak_bytes=7000),
    ]
    summary = figures(rows)
    assert list(summary["categories"]) == ["code", "math"]
    assert summary["categories"]["math"]["speedup"]["pooled"] == pytest.approx(0.09 / 0.04)
    assert summary["categories"]["code"]["speedup"]["pooled"] == pytest.approx(0.09 / 0.07)
    assert summary["arms"]["chain"]["eos_share"] == 0.5
    assert summary["arms"]["chain"]["peak_bytes"] == 7000
    assert summary["arms"]["baseline"]["energy_j_per_token"] == pytest.approx(0.25)
    assert summary["arms"]["chain"]["energy_j_per_token"] is None


def test_throughput_of_a_batch_is_over_the_union_of_its_intervals(baseline, chain):
    batch = {"batch_size": 2}
    rows = [
        baseline("a", 10, started_s=100.0, wall_s=4.0, decode_s=3.0, **batch),
        baseline("b", 10, started_s=102.0, wall_s=4.0, decode_s=3.0, **batch),
        chain("a", [4, 3], started_s=0.0, wall_s=1.0, decode_s=0.5, **batch),
        chain("b", [4, 3], started_s=0.5, wall_s=1.0, decode_s=0.5, **batch),
    ]
    summary = figures(rows)
    assert summary["arms"]["baseline"]["throughput_tok_s"] == pytest.approx(20 / 6)
    assert summary["arms"]["chain"]["throughput_tok_s"] == pytest.approx(20 / 1.5)
    assert summary["arms"]["baseline"]["decode_tok_s"] == pytest.approx(18 / 5)
    assert summary["speedup"]["pooled"] == pytest.approx(6 / 1.5)
    assert summary["speedup"]["ratio_of_means"] == pytest.approx(4.0)


def test_repeats_of_a_batch_are_separate_unions(baseline, chain):
    rows = [
        row
        for repeat in (0, 1)
        for row in (
            baseline("a", 10, batch_size=2, started_s=0.0, wall_s=2.0, repeat=repeat),
            chain("a", [4, 3], batch_size=2, started_s=0.0, wall_s=1.0, repeat=repeat),
        )
    ]
    assert figures(rows)["arms"]["baseline"]["wall_s"] == pytest.approx(4.0)


def test_turns_of_one_prompt_are_no_extra_evidence(baseline, chain):
    """Copying each prompt's turn must not narrow the interval; new prompts must."""

    def interval(rows):
        speedup = figures(rows)["speedup"]
        return [speedup["low"], speedup["high"]]

    def run(copies, name="{}"):
        return [
            row
            for index in range(8)
            for copy in range(copies)
            for row in (
                baseline(name.format(index, copy), 15, turn=copy),
                chain(
                    name.format(index, copy),
                    [4, 4, 3],
                    round_s=0.01 * (1 + index),
                    turn=copy,
                ),
            )
        ]

    once = interval(run(1))
    assert interval(run(3)) == pytest.approx(once)
    fresh = interval(run(3, "{}-{}"))
    assert fresh[1] - fresh[0] < 0.8 * (once[1] - once[0])


def test_no_tau_beyond_what_a_round_can_give(baseline, chain):
    accepted = {"a": [4, 4], "b": [4, 4], "c": [4, 4], "d": [4, 4], "e": [0]}
    rows = [
        row
        for prompt, lengths in accepted.items()
        for row in (baseline(prompt, 1 + sum(lengths) + len(lengths)), chain(prompt, lengths))
    ]
    spec = figures(rows)["arms"]["chain"]
    assert max(spec["accept_histogram"][4:]) == 8
    for name in ("tau", "tau_emitted", "tau_macro"):
        low, high = spec["intervals"][name]
        assert 0.0 <= low <= spec[name] <= high <= 5.0
    assert spec["intervals"]["tau"][1] == 5.0


def test_drift_between_first_and_last_repeat(baseline, chain):
    rows = [
        row
        for repeat, factor in ((0, 1.0), (1, 7.0), (2, 1.2))
        for prompt in "abcde"
        for row in (
            baseline(prompt, 9, repeat=repeat, step_s=0.01 * factor),
            chain(prompt, [4, 2], repeat=repeat),
        )
    ]
    arms = figures(rows)["arms"]
    assert arms["baseline"]["drift"]["ratio"] == pytest.approx(1.2)
    assert arms["chain"]["drift"]["ratio"] == pytest.approx(1.0)


def test_recorded_depths_rule_over_derived_ones(baseline, chain):
    row = chain("a", [1, 0, 2], drafted=6, drafted_depth=6)
    rounds = [
        RoundRow("a", 0, "chain", 0, index, 0, 10, depth, depth, accepted)
        for index, (depth, accepted) in enumerate([(1, 1), (3, 0), (2, 2)])
    ]
    summary = figures([baseline("a", row.new_tokens), row], rounds=rounds)
    assert summary["arms"]["chain"]["per_position"] == pytest.approx([2 / 3, 1 / 2, 0.0])


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.lists(st.integers(0, 4), min_size=1, max_size=8), min_size=1, max_size=6),
    st.integers(1, 2),
)
def test_identities_hold_for_any_rows(baseline, chain, all_lengths, repeats):
    rows = []
    for repeat in range(repeats):
        for index, lengths in enumerate(all_lengths):
            overshoot = min(lengths[-1], index)
            spec = chain(str(index), lengths, overshoot=overshoot, repeat=repeat)
            rows += [baseline(str(index), spec.new_tokens, repeat=repeat), spec]
    summary = figures(rows)
    spec = summary["arms"]["chain"]
    flat = [a for lengths in all_lengths for a in lengths]
    assert spec["tau"] == pytest.approx(sum(a + 1 for a in flat) / len(flat))
    assert spec["tau"] == pytest.approx(1 + sum(spec["per_position"]))
    assert sum(spec["accept_histogram"]) == len(flat) * repeats
    assert spec["tau_emitted"] <= spec["tau"]
    seconds = {"baseline": 0.0, "chain": 0.0}
    for row in rows:
        seconds[row.arm] += row.wall_s
    assert summary["speedup"]["pooled"] == pytest.approx(seconds["baseline"] / seconds["chain"])
    product = 1.0
    for marginal, conditional in zip(
        spec["per_position"], spec["per_position_conditional"], strict=True
    ):
        product *= conditional or 0.0
        assert marginal == pytest.approx(product)


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.tuples(*[st.floats(-6, 6)] * 2), min_size=1, max_size=4),
    st.sampled_from([0.0001, 0.03, 0.9999]),
)
def test_a_summary_of_any_times_fits_every_file(tmp_path_factory, baseline, chain, times, wanted):
    """Two prompts whose times have nothing in common give intervals of any width."""
    rows = []
    for index, (slow, fast) in enumerate(times):
        spec = chain(str(index), [2, 0, 1], round_s=10**fast, prefill_s=10**fast)
        rows += [baseline(str(index), spec.new_tokens, step_s=10**slow), spec]
    found = flatten(figures(rows, target_ci=wanted, resamples=100))
    table = storable(pd.DataFrame([found, {**found, "speedup.prompts_needed": None}]))
    path = tmp_path_factory.getbasetemp() / "summary.parquet"
    table.to_parquet(path)
    assert list(pd.read_parquet(path)["speedup.pooled"]) == list(table["speedup.pooled"])


def test_every_headline_figure_has_an_interval_that_holds_it(baseline, chain):
    rows = []
    for index in range(6):
        spec = chain(str(index), [4, index % 3, 2, 3 - index % 2], energy_j=2.0 + index)
        rows += [baseline(str(index), spec.new_tokens, energy_j=9.0), spec]
    summary = figures(rows, target_ci=0.01)
    spec = summary["arms"]["chain"]
    names = ["calls_per_token", "throughput_tok_s", "decode_tok_s", "acceptance_rate", "tau"]
    names += ["tau_macro", "acceptance_of_depth", "energy_j_per_token", "eos_share"]
    shown = [(spec["intervals"][name], spec[name]) for name in names]
    for name in ("per_position", "per_position_conditional"):
        shown += list(zip(spec["intervals"][name], spec[name], strict=True))
    shown.append((summary["lossless"]["interval"], summary["lossless"]["exact_share"]))
    for (low, high), value in shown:
        assert low - 1e-12 <= value <= high + 1e-12
    assert spec["intervals"]["per_position"][3][1] <= 1.0
    half = summary["speedup"]["relative_half_width"]
    assert summary["speedup"]["prompts_needed"] == math.ceil(6 * (half / 0.01) ** 2)
    assert figures(rows)["speedup"]["prompts_needed"] is None


def test_acceptance_along_output_and_context_in_doubling_bins(baseline, chain):
    row = chain("a", [4, 4, 4, 4, 4, 4, 4, 0], prompt_tokens=60)
    arm = figures([baseline("a", row.new_tokens), row])["arms"]["chain"]
    first, second = arm["acceptance_by_position"]
    assert (first["first"], first["last"], first["rounds"], first["tau"]) == (0, 31, 7, 5.0)
    assert (second["first"], second["last"], second["rounds"], second["tau"]) == (32, 63, 1, 1.0)
    assert [(b["first"], b["rounds"]) for b in arm["acceptance_by_context"]] == [(0, 1), (64, 7)]


def test_an_interval_also_covers_the_figure_without_the_seconds_that_others_took(baseline, chain):
    """A third of one baseline generation was others': the figures are as measured, to the digit."""
    rows = []
    for index in range(6):
        spec = chain(str(index), [4, 3, 2, 4, 3 + index % 2])
        rows += [baseline(str(index), spec.new_tokens), spec]
    clean = figures(rows)["speedup"]
    for row in rows[0], rows[2]:
        row.wall_s *= 1.5
        row.decode_s = row.wall_s - row.prefill_s
    measured = figures(rows)["speedup"]
    for row in rows[0], rows[2]:
        row.stalled_s, row.culprit = row.wall_s / 3, "steal"
    assert figures(rows)["speedup"] == measured
    for row in rows[0], rows[2]:
        row.disturbed = True
    told = figures(rows)["speedup"]
    names = ("pooled", "ratio_of_means", "geomean")
    assert {name: told[name] for name in names} == {name: measured[name] for name in names}
    for part in (told, told["decode"]):
        assert part["low"] < part["pooled"] < part["high"]
    assert told["low"] == pytest.approx(min(clean["low"], measured["low"]))
    assert told["high"] == pytest.approx(max(clean["high"], measured["high"]))
