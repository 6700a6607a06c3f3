"""A proxy run as one HTML file: words, pictures, tables, texts token by token."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from eagle_bench.figures.proxy import Figure, ProxyFigures, ProxyResult, Sample
from eagle_bench.results.charts.chart import Bar, Chart
from eagle_bench.results.flatten import flatten
from eagle_bench.results.report.template import fill
from eagle_bench.results.tables.proxy import position_table, tau_table
from eagle_bench.results.tables.table import NONE, Table

DEFINITIONS = (
    (
        "Accuracy",
        "Teacher-forced: the drafter reads the text's own tokens, and its best token is compared "
        "with the target's choice. Position k starts from features that end k tokens before the "
        "judged token (training-time test position k - 1). Every position judges the same tokens.",
    ),
    (
        "Accuracy if right before",
        "The same share over the places where, from the same start, the positions before were "
        "right too.",
    ),
    (
        "Acceptance",
        "Conditional acceptance in real generation with a greedy chain: of the rounds that "
        "accepted k - 1 draft tokens, the share that accepted the k-th.",
    ),
    (
        "Loss",
        "Cross-entropy, in nats, to the target's distribution renormalised over the drafter's "
        "vocabulary, where that holds the target's choice: the loss that heads are trained on.",
    ),
    (
        "tau",
        "Tokens per verification round. Predicted: 1 plus the sum over positions of the running "
        "product of accuracies. Measured: the mean of accepted tokens + 1 over all rounds.",
    ),
    ("Intervals", "Bootstrap that resamples prompts, with all their turns."),
)


@dataclass(frozen=True)
class ProxyPage:
    """What the template writes down."""

    made: str
    words: Sequence[str]
    charts: Sequence[Chart]
    tables: Sequence[Table]
    samples: Sequence[Sample]
    config: Sequence[tuple[str, str]]
    provenance: Sequence[tuple[str, str]]
    definitions: Sequence[tuple[str, str]] = DEFINITIONS


def proxy_html(result: ProxyResult) -> str:
    """The page; it loads nothing and runs no script."""
    figures = result.figures
    page = ProxyPage(
        made=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        words=[verdict(result), str(result.text["sentence"]), _counts(figures)],
        charts=[_by_position(figures), _losses(figures), _taus(figures)],
        tables=[position_table(figures), tau_table(figures)],
        samples=result.samples,
        config=_facts(result.config),
        provenance=_facts(result.provenance),
    )
    return fill("proxy_page.html.jinja", page=page)


def verdict(result: ProxyResult) -> str:
    """How far the proxy is from the truth, in a sentence."""
    figures = result.figures
    predicted, measured, ratio = figures.tau_predicted, figures.tau_measured, figures.tau_ratio
    if predicted.value is None or measured.value is None or ratio.value is None:
        return "Nothing was drafted, so there is no acceptance to compare the proxy with."
    away = f"{abs(ratio.value - 1):.1%}"
    said = f"The proxy predicts {predicted.value:.2f} tokens per round; generation made"
    if ratio.low is not None and ratio.high is not None:
        bounds = (
            f" ({result.config['confidence']:.0%} interval of measured over predicted: "
            f"{ratio.low:.2f} to {ratio.high:.2f})"
        )
        if ratio.low <= 1.0 <= ratio.high:
            return f"{said} {measured.value:.2f}, which these prompts cannot tell apart{bounds}."
    else:
        bounds = ""
    side = "fewer" if ratio.value < 1 else "more"
    return f"{said} {measured.value:.2f}, {away} {side}{bounds}."


def _counts(figures: ProxyFigures) -> str:
    return (
        f"{figures.tokens:,} tokens of {figures.prompts} prompts were judged at each position; "
        f"{figures.followed:.1%} of them are the target's own choice, and the drafter can propose "
        f"{figures.draftable:.1%} of the target's choices at all. Generation made "
        f"{figures.generated:,} tokens in {figures.rounds:,} rounds."
    )


def _by_position(figures: ProxyFigures) -> Chart:
    bars = [
        _bar(str(each.position), name, figure, 100)
        for name, figures_of in (
            ("accuracy, true tokens given", [each.accuracy for each in figures.positions]),
            ("acceptance in generation", [each.acceptance for each in figures.positions]),
        )
        for each, figure in zip(figures.positions, figures_of, strict=True)
        if figure.value is not None
    ]
    return Chart(
        "Accuracy and acceptance by position in the draft",
        "Acceptance counts a position only when those before it were accepted.",
        "Position in the draft",
        bars,
        "{:.0f}%",
        shape="lines",
    )


def _losses(figures: ProxyFigures) -> Chart:
    bars = [
        _bar(str(each.position), "", each.loss, 1)
        for each in figures.positions
        if each.loss.value is not None
    ]
    return Chart(
        "Loss by position in the draft",
        "Cross-entropy to the target, true tokens given.",
        "Position in the draft",
        bars,
        "{:.2f}",
        shape="lines",
    )


def _taus(figures: ProxyFigures) -> Chart:
    named = (
        ("predicted", figures.tau_predicted),
        ("if right before", figures.tau_given),
        ("measured", figures.tau_measured),
    )
    bars = [_bar(name, "", figure, 1) for name, figure in named if figure.value is not None]
    return Chart("Tokens per round", "Predicted from either accuracy, and measured.", "", bars)


def _bar(place: str, series: str, figure: Figure, scale: float) -> Bar:
    assert figure.value is not None
    if figure.low is None or figure.high is None:
        return Bar(place, series, scale * figure.value)
    return Bar(place, series, scale * figure.value, scale * figure.low, scale * figure.high)


def _facts(nested: Mapping[str, Any]) -> list[tuple[str, str]]:
    return [
        (name, NONE if value is None else str(value)) for name, value in flatten(nested).items()
    ]
