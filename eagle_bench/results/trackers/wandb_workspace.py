"""The W&B dashboard as an object: panels over what `tracker=wandb` logs."""

from __future__ import annotations

from eagle_bench.errors import UserError
from eagle_bench.results.trackers.curves import PREFIX, STEP

try:
    import wandb_workspaces.reports.v2 as wr
    import wandb_workspaces.workspaces as ws
except ImportError as error:
    raise UserError(
        "The dashboard needs wandb-workspaces: pip install 'eagle_bench[dashboard]'."
    ) from error

NAME = "eagle_bench"
JOB_SPEEDUP = "speedup.pooled"
"""Of the summary of jobs; the report run has none, so bars and points are jobs alone."""

CURVES = {
    "Speedup, with its interval": ("speedup", "speedup_low", "speedup_high"),
    "Tokens per second": ("throughput_tok_s", "baseline_tok_s"),
    "Target calls per token": ("calls_per_token",),
    "tau: tokens per verification": ("tau",),
    "Accepted over drafted tokens": ("acceptance_rate",),
}
GROUPS = {
    "method": "decoding.name",
    "drafter": "drafter.name",
    "target": "model.name",
    "engine": "engine.name",
}
PICTURES = (
    "speedup_by_gen_len",
    "calls_per_token",
    "tau",
    "per_position_acceptance",
    "speedup_by_category",
)


def build_workspace(project: str, entity: str) -> ws.Workspace:
    """Curves over `gen_len`, bars by method, tau against speedup, tables of sweeps. Not saved."""
    return ws.Workspace(
        entity=entity,
        project=project,
        name=NAME,
        sections=[
            _section("By generation length", [_curve(*each) for each in CURVES.items()]),
            _section("By method", [_bars(*each) for each in GROUPS.items()]),
            _section("What acceptance is worth", [_scatter()]),
            _section("Sweeps", [_table(), _pictures()]),
        ],
        settings=ws.WorkspaceSettings(x_axis=STEP, max_runs=100),
    )


def _section(name: str, panels: list[wr.PanelTypes]) -> ws.Section:
    return ws.Section(name=name, panels=panels, is_open=True)


def _curve(title: str, figures: tuple[str, ...]) -> wr.LinePlot:
    return wr.LinePlot(
        title=title,
        x=STEP,
        y=[PREFIX + figure for figure in figures],
        title_x="Generation length (tokens)",
        max_runs_to_show=100,
    )


def _bars(what: str, setting: str) -> wr.BarPlot:
    return wr.BarPlot(
        title=f"Speedup by {what}",
        metrics=[JOB_SPEEDUP],
        groupby=wr.Config(setting),
        groupby_aggfunc="mean",
        groupby_rangefunc="minmax",
        title_x="Speedup over the baseline",
    )


def _scatter() -> wr.ScatterPlot:
    return wr.ScatterPlot(
        title="Speedup by tau: far right and low is accepted but slow",
        x=wr.SummaryMetric(f"{PREFIX}tau"),
        y=wr.SummaryMetric(JOB_SPEEDUP),
        legend_template="${run:displayName}",
    )


def _table() -> wr.WeavePanelSummaryTable:
    return wr.WeavePanelSummaryTable(table_name="sweep")


def _pictures() -> wr.MediaBrowser:
    return wr.MediaBrowser(media_keys=[f"pictures/{name}" for name in PICTURES], num_columns=3)
