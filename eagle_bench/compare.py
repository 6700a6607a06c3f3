"""`python -m eagle_bench.compare A B`: did B get faster? A gate for CI.

The figures are speedup, throughput_tok_s, calls_per_token, tau, acceptance_rate (all of the
speculative arm) and baseline_tok_s. A and B are runs, or sweeps whose jobs are matched by
their swept settings; only prompts that both have count. A job that cannot be compared is named,
and fails every gate.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from eagle_bench.errors import DOCUMENT, in_a_sentence
from eagle_bench.figures.statistics import Interval
from eagle_bench.results.compare import FIGURES, SPEEDUP, Compared, Comparison, compare
from eagle_bench.results.gate import Gate, parse_gate
from eagle_bench.results.tables.render import print_table
from eagle_bench.results.tables.table import NONE, Row, Table

COLUMNS = ("Figure", "A", "B", "B/A", "95% interval", "B-A", "95% interval")


@in_a_sentence
def main(argv: Sequence[str] | None = None) -> int:
    """Print the comparison; 1 when a `--fail-if` holds, 2 for a mistake of the user."""
    arguments = _parser().parse_args(argv)
    gates = [parse_gate(expression, FIGURES) for expression in arguments.fail_if]
    compared = compare(arguments.a, arguments.b)
    if not gates:
        compared.checked()
    failures = [sentence for one in compared.comparisons for sentence in _failures(one, gates)]
    if gates:
        failures += [f"not compared: {gap}" for gap in compared.gaps]
    if arguments.json:
        DOCUMENT.show(_document(compared, failures))
    else:
        for comparison in compared.comparisons:
            print_table(comparison_table(comparison))
    for gap in compared.gaps if not gates else ():
        print(f"not compared: {gap}", file=sys.stderr)
    for sentence in failures:
        print(f"failed: {sentence}", file=sys.stderr)
    return 1 if failures else 0


def _failures(comparison: Comparison, gates: Sequence[Gate]) -> list[str]:
    found = []
    for gate in gates:
        ratio = next(c.ratio for c in comparison.changes if c.figure == gate.figure)
        if gate.triggers(ratio):
            value = "not defined" if ratio is None else f"{ratio:.4f}"
            place = f" at {comparison.name}" if comparison.name else ""
            found.append(f"{gate}: B/A of {gate.figure}{place} is {value}")
    return found


def _document(compared: Compared, failures: Sequence[str]) -> dict[str, object]:
    documents = []
    for comparison in compared.comparisons:
        document = asdict(comparison) | {"a": str(comparison.a), "b": str(comparison.b)}
        changes = {change.pop("figure"): change for change in document.pop("changes")}
        documents.append(document | {"figures": changes})
    return {"comparisons": documents, "gaps": compared.gaps, "failed": list(failures)}


def comparison_table(comparison: Comparison) -> Table:
    """One row per figure: A, B, their ratio and their difference with intervals."""
    rows = tuple(
        Row(
            (
                change.figure,
                _number(change.a),
                _number(change.b),
                _number(change.ratio),
                _interval(change.ratio_interval),
                _number(change.difference),
                _interval(change.difference_interval),
            )
        )
        for change in comparison.changes
    )
    name = f" at {comparison.name}" if comparison.name else ""
    title = f"B {comparison.b} over A {comparison.a}{name}, {comparison.prompts} shared prompts"
    return Table(title, COLUMNS, rows, notes=tuple(_notes(comparison)))


def _notes(comparison: Comparison) -> list[str]:
    notes = []
    speedup = next(each for each in comparison.changes if each.figure == SPEEDUP)
    interval = speedup.ratio_interval
    if speedup.ratio is not None and (interval is None or interval.low <= 1.0 <= interval.high):
        why = "there is no interval" if interval is None else "the interval of B/A contains 1"
        notes.append(f"the two speedups cannot be told apart: {why}")
    if comparison.disturbed:
        notes.append(
            "others' work took time in A or B; the speedup's intervals also cover what it would be "
            "without that time"
        )
    if comparison.only_a or comparison.only_b:
        notes.append(
            f"left out: {comparison.only_a} prompts only in A, {comparison.only_b} only in B"
        )
    if comparison.retokenised:
        notes.append(
            f"{comparison.retokenised} shared prompts have other prompt tokens in B: another "
            "dataset, template or tokenizer"
        )
    return notes


def _number(value: float | None) -> str:
    return NONE if value is None else f"{value:.3f}"


def _interval(interval: Interval | None) -> str:
    return NONE if interval is None else f"[{interval.low:.3f}, {interval.high:.3f}]"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="eagle-bench compare",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("a", metavar="A", type=Path, help="the reference: a run or a sweep")
    parser.add_argument("b", metavar="B", type=Path, help="what is judged against it")
    parser.add_argument(
        "--fail-if",
        metavar="'FIGURE OP NUMBER'",
        action="append",
        default=[],
        help="exit 1 when this holds for the ratio B/A, as in 'speedup < 0.98'; repeatable",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON document instead")
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
