"""The cost model of a run against a world in which every second is known."""

from __future__ import annotations

import json
import math
import time
from types import SimpleNamespace
from typing import Any, cast

import pytest

from eagle_bench.config.dataset import DatasetConfig
from eagle_bench.config.decoding import (
    AdaptiveConfig,
    ChainConfig,
    DecodingConfig,
    TreeConfig,
    TwoPassConfig,
)
from eagle_bench.config.drafter import DrafterConfig
from eagle_bench.config.model import ModelConfig
from eagle_bench.config.run import RunConfig
from eagle_bench.config.tracker import TrackerConfig
from eagle_bench.config.values import Stop
from eagle_bench.data.chat import ChatFormat
from eagle_bench.data.prompt import Prompt
from eagle_bench.decoding.build import build_baseline, build_speculative
from eagle_bench.drafters.build import BuiltDrafter
from eagle_bench.engines.session import Session
from eagle_bench.measure.cost import roofline
from eagle_bench.measure.cost.costs import PROMPTS, measure_costs
from eagle_bench.measure.cost.device_speed import DeviceSpeed
from eagle_bench.measure.cost.words import in_words
from eagle_bench.records.generation import Request
from eagle_bench.records.rows import GenerationRow, RoundRow, Trial, round_rows
from eagle_bench.results.charts.cost import cost_charts
from eagle_bench.results.charts.svg import bars_view, lines_view
from tests.measure.timed_world import (
    COMMIT_S,
    EXTEND_S,
    FIRST_S,
    PER_TOKEN_S,
    PREFILL_S,
    STEP_S,
    Clock,
    TimedDrafter,
    TimedTarget,
)

GEN_LEN = 61
PROMPT_LENGTHS = (3, 4, 5, 6, 7, 8, 11)


def step_s(tokens: int) -> float:
    return STEP_S + tokens * PER_TOKEN_S


def round_s(draft_len: int) -> float:
    return FIRST_S + (draft_len - 1) * EXTEND_S + step_s(draft_len + 1) + COMMIT_S


class World:
    """Some prompts, the rows that a run of `decoding` recorded, and its cost model."""

    def __init__(
        self, decoding: DecodingConfig, baseline: Any, chain: Any, drag: float, levels: int | None
    ) -> None:
        self.clock = Clock()
        self.config = RunConfig(
            model=ModelConfig(name="timed"),
            drafter=DrafterConfig(name="timed"),
            dataset=DatasetConfig(name="timed"),
            decoding=decoding,
            tracker=TrackerConfig(name="none"),
            gen_len=GEN_LEN,
            stop=Stop.length,
        )
        drafter = BuiltDrafter(TimedDrafter(self.clock, drag, levels), levels=levels)
        chat = SimpleNamespace(encode=lambda messages: list(range(len(messages[-1]["content"]))))
        self.session = Session(TimedTarget(self.clock), drafter, cast(ChatFormat, chat), {})
        self.prompts = [Prompt(f"p{n}", "chat", ("x" * n,)) for n in PROMPT_LENGTHS]
        self.rows: list[GenerationRow] = []
        self.rounds: list[RoundRow] = []
        target = self.session.target
        for prompt in self.prompts:
            request = Request(prompt.id, list(range(len(prompt.turns[0]))), GEN_LEN)
            [plain] = build_baseline(self.config, target).generate([request])
            self.rows.append(baseline(prompt.id, GEN_LEN, token_ids=plain.tokens))
            arm = build_speculative(self.config, target, drafter.drafter)
            [drafted] = arm.generate([request])
            lengths = drafted.accept_lengths
            self.rows.append(chain(prompt.id, lengths, overshoot=drafted.overshoot, arm=arm.name))
            for name, generation in (("baseline", plain), (arm.name, drafted)):
                self.rounds += round_rows(generation, Trial(prompt.id, "chat", 0, name, 0))

    def costs(self, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
        speed = DeviceSpeed(bytes_s=1e7, flop_s=5e6)
        monkeypatch.setattr(roofline, "device_speed", lambda *_: speed)
        with monkeypatch.context() as patched:
            patched.setattr(time, "perf_counter", self.clock)
            found = measure_costs(self.config, self.session, self.prompts, self.rows, self.rounds)
        return cast(dict[str, Any], json.loads(json.dumps(found)))

    @property
    def spoken(self) -> list[GenerationRow]:
        return [row for row in self.rows if row.rounds]


@pytest.fixture
def world(baseline: Any, chain: Any) -> Any:
    def make(decoding: DecodingConfig, drag: float = 1.0, levels: int | None = None) -> World:
        return World(decoding, baseline, chain, drag, levels)

    return make


def test_known_parts_predict_the_known_whole(world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    here = world(ChainConfig("chain", draft_len=4))
    costs = here.costs(monkeypatch)
    timed = [row for row in here.spoken if row.prompt_id != "p6"]
    assert costs["prompts"] == PROMPTS == len(timed)
    rounds = sum(row.rounds for row in timed)
    truth = {
        "step_s": step_s(1), "verify_s": step_s(5), "draft_s": FIRST_S + 3 * EXTEND_S,
        "other_s": COMMIT_S, "start_s": PROMPTS * PREFILL_S / rounds,
        "tau": PROMPTS * (GEN_LEN - 1) / rounds,
    }  # fmt: skip
    for where in ("predicted", "measured"):
        assert {key: costs[where][key] for key in truth} == pytest.approx(truth)
    seconds = PROMPTS * PREFILL_S + rounds * round_s(4)
    speedup = PROMPTS * (GEN_LEN - 1) * step_s(1) / seconds
    assert costs["predicted"]["speedup"] == pytest.approx(speedup)
    assert costs["measured"]["speedup"] == pytest.approx(speedup)
    assert list(costs["residual"].values()) == pytest.approx([0.0] * 8, abs=1e-9)
    tau = sum(row.accepted + row.rounds for row in timed) / rounds
    assert costs["predicted"]["endless"] == pytest.approx(tau * step_s(1) / round_s(4))


def test_the_target_alone_stands_beside_its_floors(
    world: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    costs = world(ChainConfig("chain")).costs(monkeypatch)
    assert {each["tokens"]: each["verify_s"] for each in costs["verify"]} == pytest.approx(
        {n: step_s(n) for n in (1, 2, 3, 4, 5, 6, 8, 9, 12, 16, 17, 24, 25, 32, 48, 64)}
    )
    assert costs["step_s"] == costs["verify"][0]["verify_s"]
    weights = 8 * 8 + 101 * 8
    read_bytes = 4 * weights + 16 * costs["context_len"]
    assert costs["step_floor_s"] == pytest.approx(read_bytes / 1e7)
    assert costs["verify"][-1]["floor_s"] == pytest.approx(2 * weights * 64 / 5e6)
    assert any("busy moment" in note for note in costs["notes"])


def test_a_part_that_is_slower_in_generations_is_named(
    world: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    costs = world(ChainConfig("chain", draft_len=4), drag=3.0).costs(monkeypatch)
    slower_s = 2 * (FIRST_S + 3 * EXTEND_S)
    own_s = round_s(4) + costs["predicted"]["start_s"]
    expected = -math.log((own_s + slower_s) / own_s)
    residual = costs["residual"]
    assert residual["draft"] == pytest.approx(expected)
    assert residual["total"] == pytest.approx(expected)
    assert costs["difference"] == pytest.approx(math.exp(-expected) - 1)


def test_the_best_length_follows_from_recorded_rounds(
    world: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = world(ChainConfig("chain", draft_len=4))
    costs = here.costs(monkeypatch)
    accepted = [length for row in here.spoken for length in row.accept_lengths]
    curve = {each["depth"]: each for each in costs["depth"]["curve"]}
    assert list(curve) == list(range(1, 9))
    for length in (1, 2, 3, 4):
        tau = 1 + sum(min(each, length) for each in accepted) / len(accepted)
        assert curve[length]["tau"] == pytest.approx(tau)
        assert curve[length]["round_s"] == pytest.approx(round_s(length))
        assert curve[length]["draft_s"] == pytest.approx(FIRST_S + (length - 1) * EXTEND_S)
    assert [each["depth"] for each in curve.values() if each["recorded"]] == [1, 2, 3, 4]
    best = max((1, 2, 3, 4), key=lambda length: curve[length]["speedup"])
    assert costs["depth"]["best"] == best
    assert costs["oracle_bound"] > max(costs["measured"]["speedup"], curve[best]["speedup"])
    assert costs["advice"].startswith("Better ")


def test_levels_drafted_at_once_cost_the_same_at_every_depth_and_have_an_end(
    world: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that verifying alone decides how many of a fixed block are taken."""
    depth = world(ChainConfig("chain", draft_len=4), levels=6).costs(monkeypatch)["depth"]
    curve = {each["depth"]: each for each in depth["curve"]}
    assert list(curve) == [1, 2, 3, 4, 5, 6]
    for length, each in curve.items():
        assert each["draft_s"] == pytest.approx(FIRST_S)
        assert each["round_s"] == pytest.approx(FIRST_S + step_s(length + 1) + COMMIT_S)
    assert [length for length, each in curve.items() if each["recorded"]] == [1, 2, 3, 4]


def test_a_tree_is_told_by_depth_and_by_size(world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    here = world(TreeConfig("tree", depth=3, top_k=1, num_draft_tokens=3))
    costs = here.costs(monkeypatch)
    assert [each["depth"] for each in costs["depth"]["curve"]] == [1, 2, 3]
    sizes = {each["nodes"]: each for each in costs["tree"]}
    tau = sum(row.accepted + row.rounds for row in here.spoken if row.prompt_id != "p6") / sum(
        row.rounds for row in here.spoken if row.prompt_id != "p6"
    )
    assert sizes[3]["tau"] == pytest.approx(tau)
    own_s = round_s(3) + costs["predicted"]["start_s"]
    assert sizes[7]["tau"] == pytest.approx(tau * (own_s + 4 * PER_TOKEN_S) / own_s)


@pytest.mark.parametrize(
    ("decoding", "told"),
    [
        (ChainConfig("chain"), {"method", "depth"}),
        (TreeConfig("tree", depth=3, top_k=1, num_draft_tokens=3), {"method", "depth", "tree"}),
        (AdaptiveConfig("adaptive"), {"method"}),
        (TwoPassConfig("two_pass"), set()),
    ],
    ids=lambda value: getattr(value, "name", ""),
)
def test_what_cannot_be_told_is_said(
    world: Any, monkeypatch: pytest.MonkeyPatch, decoding: DecodingConfig, told: set[str]
) -> None:
    costs = world(decoding).costs(monkeypatch)
    assert {key for key in ("method", "depth", "tree") if costs.get(key) is not None} == told
    lines = in_words(costs)
    assert all(note in lines for note in costs["notes"])
    assert any("recorded" in line or "accept" in line or "timed" in line for line in lines)
    charts = cost_charts(costs)
    assert len(charts) == (5 if "depth" in told else 4 if told else 1)
    for chart in charts:
        assert (lines_view if chart.shape == "lines" else bars_view)(chart)
    assert cost_charts({}) == []


def test_outputs_of_one_token_leave_nothing_to_time(
    world: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = world(ChainConfig("chain"))
    for row in here.rows:
        row.new_tokens = 1
    costs = here.costs(monkeypatch)
    assert costs["prompts"] == 0
    assert in_words(costs) == costs["notes"]
    assert cost_charts(costs) == []
