"""Four conventions on one generation; the worked example of docs/how-we-measure.md."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from eagle_bench.figures.frame import frame
from eagle_bench.figures.tau import taus

PAGE = Path(__file__).parents[2] / "docs" / "how-we-measure.md"


def test_worked_example_of_the_docs(chain):
    row = chain("a", [2] * 19 + [1])
    assert (row.new_tokens, row.rounds) == (60, 20)
    found = taus(frame([row]))
    shown = [f"{found[name]:.2f}" for name in ("tau_sglang", "tau", "tau_macro")]
    assert shown == ["3.00", "2.95", "2.86"]
    page = PAGE.read_text()
    cells = dict(re.findall(r"\| `(tau\w*)` \|[^|]*\|[^|]*\| (\d\.\d\d) \|", page))
    assert cells == {name: f"{value:.2f}" for name, value in found.items()}


def test_overshoot_counts_for_tau_but_was_not_emitted(chain):
    found = taus(frame([chain("a", [4, 4], overshoot=3)]))
    assert found["tau"] == 5.0
    assert found["tau_emitted"] == 3.5
    assert found["tau_sglang"] == 4.0
    assert found["tau_macro"] == pytest.approx(8 / 3)


def test_macro_weighs_prompts_equally_and_drops_eos(chain):
    rows = [chain("long", [3] * 9), chain("short", [0], stop_reason="eos")]
    found = taus(frame(rows))
    assert found["tau"] == pytest.approx(37 / 10)
    assert found["tau_macro"] == pytest.approx((37 / 10 + 1 / 2) / 2)


def test_macro_merges_repeats_of_a_prompt(chain):
    rows = [chain("a", [3], repeat=r) for r in range(5)] + [chain("b", [1])]
    assert taus(frame(rows))["tau_macro"] == pytest.approx((5 / 2 + 3 / 2) / 2)


def test_a_method_without_prefill_token_has_no_opening_step(chain):
    row = chain("a", [2, 2])
    row.new_tokens -= 1
    found = taus(frame([row]))
    assert found["tau"] == found["tau_emitted"] == found["tau_macro"] == 3.0
