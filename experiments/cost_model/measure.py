"""Do the costs of the parts predict the speedup of the whole?

    python experiments/cost_model/measure.py [PROMPTS] [GEN_LEN]

For chains of 1 to 8 and three trees. The parts are timed by themselves, in rehearsals of the
middle of each output (`eagle_bench/measure/parts.py`); whole generations of the same prompt stand
between them, since the machine's speed drifts. Only counts of the generations enter the prediction

    tau * t_1 / (t_p / R + t_d + t_v + t_o)

with tau the emitted tokens per round. Writes `table.md`, `costs.csv`, `residual.csv` and
`predicted.png` beside this file.
"""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path

import pandas as pd
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf
from rich.progress import track

from eagle_bench.config.run import RunConfig
from eagle_bench.data.loader import load_prompts
from eagle_bench.decoding.build import build_baseline, build_speculative
from eagle_bench.decoding.loop import Decoder
from eagle_bench.engines.conversation import Conversation
from eagle_bench.engines.session import Loader, Session
from eagle_bench.launch import registry as schema
from eagle_bench.machine.clock import NoPhases, PhaseClock
from eagle_bench.measure.cost.model import advice, measured_tau, oracle_bound
from eagle_bench.measure.cost.outlook import reached
from eagle_bench.measure.cost.parts import Place, Sample, Subject
from eagle_bench.measure.cost.prediction import Prediction, counted, predict
from eagle_bench.results.charts.style import COLOURS, canvas

HERE = Path(__file__).parent
LENGTHS = range(1, 9)
METHODS = {
    **{f"chain K={k}": ["decoding=chain", f"decoding.draft_len={k}"] for k in LENGTHS},
    **{
        f"tree {depth}x{top_k}, {nodes} nodes": [
            *("decoding=tree", f"decoding.depth={depth}", f"decoding.top_k={top_k}"),
            f"decoding.num_draft_tokens={nodes}",
        ]
        for depth, top_k, nodes in ((4, 2, 8), (5, 4, 16), (6, 6, 24))
    },
}
LONGEST = f"chain K={LENGTHS[-1]}"
BASELINES = 3
"""Measurements of the baseline at each prompt, spread among the methods'."""


def composed(*overrides: str) -> RunConfig:
    """The typed settings of a run with `overrides`."""
    with initialize_config_dir(schema.CONF, version_base="1.3"):
        config = OmegaConf.to_object(compose("config", ["tracker=none", "threads=1", *overrides]))
    assert isinstance(config, RunConfig)
    return config


def speculative(config: RunConfig, session: Session, phases: PhaseClock | NoPhases) -> Decoder:
    """The method of `config` as an arm of the loop."""
    arm = build_speculative(config, session.target, session.drafter.drafter, phases)
    assert isinstance(arm, Decoder)
    return arm


def measure(count: int, gen_len: int) -> tuple[list[Sample], dict[str, list[Sample]]]:
    """Samples of the baseline, and of every method at the same prompts."""
    config = composed()
    session = Loader().session(config)
    clock = PhaseClock(session.target.spec.device)
    baseline = Subject(partial(build_baseline, config, session.target), clock)
    methods = {
        name: Subject(partial(speculative, composed(*overrides), session), clock)
        for name, overrides in METHODS.items()
    }
    prompts = load_prompts(config.dataset, count, 0).prompts
    places = []
    for prompt in track(prompts, "recording the outputs"):
        request = Conversation(session, prompt).request(gen_len)
        [said] = baseline.timed.generate([request])
        if len(said.tokens) > 1:
            places.append(Place(request, said.tokens))
    for subject in methods.values():
        subject.measure(places[0])
    names = list(methods)
    steps: list[Sample] = []
    samples: dict[str, list[Sample]] = {name: [] for name in names}
    every = -(-len(names) // BASELINES)
    for index, place in enumerate(track(places, "timing")):
        for number in range(len(names)):
            if number % every == 0:
                steps.append(baseline.measure(place))
            name = names[(index + number) % len(names)]
            samples[name].append(methods[name].measure(place))
    return steps, samples


def costs_table(predictions: dict[str, Prediction]) -> pd.DataFrame:
    """One line per method: the terms in ms, predicted and measured decode speedup."""
    return pd.DataFrame(
        {
            "method": name,
            "tau": costs.tau,
            "t_1_ms": 1e3 * costs.step_s,
            "t_p_per_round_ms": 1e3 * costs.start_s,
            "t_d_ms": 1e3 * costs.draft_s,
            "t_v_ms": 1e3 * costs.verify_s,
            "t_o_ms": 1e3 * costs.other_s,
            "endless": found.endless,
            "predicted": costs.speedup,
            "measured": found.speedup,
            "difference": found.difference,
        }
        for name, found in predictions.items()
        for costs in (found.predicted,)
    ).set_index("method")


def residual_table(predictions: dict[str, Prediction]) -> pd.DataFrame:
    """One line per method: log(measured / predicted) by term."""
    return pd.DataFrame({name: found.residual for name, found in predictions.items()}).T


def markdown(table: pd.DataFrame, residuals: pd.DataFrame, words: str) -> str:
    """Both tables with a sentence between them."""
    lines = [
        "| method | tau | t_1 ms | t_p / R ms | t_d ms | t_v ms | t_o ms | endless | predicted "
        "| measured | difference |",
        "|---|" + "---:|" * 10,
    ]
    for name, row in table.iterrows():
        ms = " | ".join(f"{row[key]:.2f}" for key in table.columns if key.endswith("_ms"))
        lines.append(
            f"| {name} | {row.tau:.2f} | {ms} | {row.endless:.2f}x | {row.predicted:.2f}x | "
            f"{row.measured:.2f}x | {row.difference:+.1%} |"
        )
    lines += ["", words, "", f"| method | {' | '.join(map(str, residuals.columns))} |"]
    lines.append("|---|" + "---:|" * len(residuals.columns))
    for name, row in residuals.iterrows():
        lines.append(f"| {name} | {' | '.join(f'{part:+.1%}' for part in row)} |")
    return "\n".join([*lines, ""])


def conclusions(
    predictions: dict[str, Prediction], samples: dict[str, list[Sample]], table: pd.DataFrame
) -> str:
    """Best by the model and by measurement, the oracle bound, what would help most."""
    longest = predictions[LONGEST].predicted
    accepted = [length for sample in samples[LONGEST] for length in sample.accept_lengths]
    chains = {k: predictions[f"chain K={k}"].predicted for k in LENGTHS}
    round_s = {0: longest.step_s} | {k: each.round_s - each.start_s for k, each in chains.items()}
    bound = oracle_bound(accepted, round_s.__getitem__, longest.step_s)
    assert bound >= table.measured.max(), "the oracle bound lies below a measured speedup"
    shares = reached(accepted, LENGTHS[-1])
    by_marginals = {k: measured_tau(shares, k) * longest.step_s / round_s[k] for k in LENGTHS}
    best, measured = str(table.predicted.idxmax()), str(table.measured.idxmax())
    trees = table.predicted[[name for name in table.index if name.startswith("tree")]]
    four = predictions["chain K=4"].predicted
    return (
        f"Best by the model: {best} ({table.predicted[best]:.2f}x); measured best: {measured} "
        f"({table.measured[measured]:.2f}x). Best tree by the model: {trees.idxmax()}. From the "
        f"marginals of K={LENGTHS[-1]} alone: K={max(by_marginals, key=by_marginals.__getitem__)}. "
        f"Had every round of the chain known how much would be accepted: {bound:.2f}x, above every "
        f"measured speedup. {advice(four, 5.0)}"
    )


def draw(table: pd.DataFrame) -> None:
    """`predicted.png`."""
    with canvas(HERE / "predicted.png", 7.0) as (_, axes):
        low = 0.95 * min(table.predicted.min(), table.measured.min())
        top = 1.05 * max(table.predicted.max(), table.measured.max())
        axes.plot([low, top], [low, top], color=COLOURS[-1], linewidth=0.8)
        axes.fill_between([low, top], [0.9 * low, 0.9 * top], [1.1 * low, 1.1 * top], alpha=0.1)
        axes.scatter(table.measured, table.predicted, color=COLOURS[0])
        for name, row in table.iterrows():
            axes.annotate(
                str(name),
                (row.measured, row.predicted),
                xytext=(5, -4),
                textcoords="offset points",
                fontsize=8,
            )
        axes.set(xlim=(low, top), ylim=(low, top))
        axes.set_title("Predicted by the cost model against measured")
        axes.set_xlabel("Measured decode speedup (shaded: within 10%)")
        axes.set_ylabel("Predicted")


def main(count: int = 24, gen_len: int = 128) -> None:
    """Measure, predict, compare and write the files."""
    schema.register()
    steps, samples = measure(count, gen_len)
    predictions = {name: predict(steps, own, counted(own)) for name, own in samples.items()}
    table, residuals = costs_table(predictions), residual_table(predictions)
    table.round(4).to_csv(HERE / "costs.csv")
    residuals.round(4).to_csv(HERE / "residual.csv", index_label="method")
    draw(table)
    text = markdown(table, residuals, conclusions(predictions, samples, table))
    (HERE / "table.md").write_text(text)
    print(text)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
