"""Pictures: which are drawn, and that the bars are where the figures say."""

from __future__ import annotations

import subprocess
import sys

import matplotlib.figure
import pytest
from matplotlib.container import BarContainer

from eagle_bench.records.find import find_jobs
from eagle_bench.records.job import Job
from eagle_bench.results.charts.chart import Bar, Chart
from eagle_bench.results.charts.files import plot_run, plot_sweep
from eagle_bench.results.charts.png import draw


@pytest.fixture
def figures(monkeypatch):
    """Every figure saved during a test."""
    saved = []
    save = matplotlib.figure.Figure.savefig

    def remember(figure, *args, **kwargs):
        saved.append(figure)
        return save(figure, *args, **kwargs)

    monkeypatch.setattr(matplotlib.figure.Figure, "savefig", remember)
    return saved


def test_bars_whiskers_labels_and_reference(tmp_path, figures):
    bars = [Bar("50", "", 1.5, 1.2, 1.9), Bar("100", "", 2.0), Bar("200", "", 0.8, 0.7, 0.9)]
    draw(Chart("T", "Note.", "x", bars, "{:.2f}x", 1.0, "baseline", file="p.png"), tmp_path)
    (axes,) = figures[0].axes
    heights = [bar.get_height() for box in axes.containers[:1] for bar in box]
    assert heights == [1.5, 2.0, 0.8]
    assert [tick.get_text() for tick in axes.get_xticklabels()] == ["50", "100", "200"]
    whiskers = sorted(
        (float(segment[0][1]), float(segment[1][1]))
        for lines in axes.collections
        for segment in lines.get_segments()
    )
    assert whiskers == [pytest.approx((0.7, 0.9)), pytest.approx((1.2, 1.9))]
    assert {text.get_text() for text in axes.texts} == {"1.50x", "2.00x", "0.80x", "baseline"}
    assert axes.get_ylim()[0] == 0
    assert axes.get_ylim()[1] > 2.0


def test_a_run_draws_every_figure_it_has(tmp_path, finish, simulation):
    job = finish(tmp_path, simulation(prompts=6))
    assert {path.name for path in plot_run(job, tmp_path)} == {
        "speedup_by_gen_len.png",
        "calls_per_token.png",
        "tau.png",
        "per_position_acceptance.png",
        "accept_histogram.png",
        "speedup_by_category.png",
    }


def test_a_sweep_draws_one_picture_per_swept_setting(tmp_path, finish, simulation, figures):
    for method in ("chain", "tree"):
        for draft_len in (8, 2):
            folder = tmp_path / f"{method}{draft_len}"
            changes = {"decoding__name": method, "decoding__draft_len": draft_len}
            finish(folder, simulation(prompts=2), **changes)
    drawn = {path.name for path in plot_sweep(find_jobs([tmp_path]).jobs, tmp_path)}
    assert {"speedup_by_decoding.png", "speedup_by_draft_len.png"} < drawn
    by_length = next(
        f for f in figures if f.axes[0].get_title(loc="left") == "Speedup by draft_len"
    )
    groups = [c for c in by_length.axes[0].containers if isinstance(c, BarContainer)]
    assert [group.get_label() for group in groups] == ["chain", "tree"]
    assert [tick.get_text() for tick in by_length.axes[0].get_xticklabels()] == ["2", "8"]


def test_conditional_acceptance_is_drawn_from_the_marginal(tmp_path, finish, simulation, figures):
    job = finish(tmp_path, simulation(prompts=30, accept=0.6))
    plot_run(job, tmp_path)
    axes = next(f for f in figures if "position" in f.axes[0].get_title(loc="left")).axes[0]
    marginal, conditional = (list(line.get_ydata()) for line in axes.lines[:2])
    assert marginal == pytest.approx([100 * m for m in job.speculative["per_position"]])
    assert conditional == pytest.approx([60] * 4, abs=8)
    assert marginal[3] == pytest.approx(100 * 0.6**4, abs=5)


def test_jobs_without_figures_are_left_out(tmp_path):
    failed = Job(tmp_path, "failed", "out of memory", config={"gen_len": 50})
    assert plot_sweep([failed], tmp_path) == []


IMPORTED = """
import sys, eagle_bench.results.charts.files, eagle_bench.records.store
print([name for name in ("matplotlib", "torch", "wandb", "hydra") if name in sys.modules])
"""


def test_matplotlib_is_loaded_only_to_draw():
    printed = subprocess.check_output([sys.executable, "-c", IMPORTED], text=True)
    assert printed.strip() == "[]"
