"""`python -m eagle_bench.dashboard --project P`: the W&B workspace that docs/wandb.md describes.

It becomes a saved view of the project: curves over the generation length, bars by method, tau
against speedup, and the table of every sweep.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

import wandb

from eagle_bench.errors import RunFailure, UserError, in_a_sentence
from eagle_bench.records.scrub import scrub


@in_a_sentence
def main(argv: Sequence[str] | None = None) -> int:
    """Save the workspace and print its address; 0 when done, 2 for a mistake of the user."""
    arguments = _parser().parse_args(argv)
    print(_save(arguments.project, arguments.entity))
    return 0


def _save(project: str, entity: str | None) -> str:
    from eagle_bench.results.trackers.wandb_workspace import build_workspace

    _log_in()
    try:
        owner = entity or str(wandb.Api().default_entity)
        return str(build_workspace(project, owner).save().url)
    except Exception as error:  # What the client raises has no common base.
        raise RunFailure(f"W&B did not save the dashboard: {_line(error)}.") from error


def _log_in() -> None:
    try:
        known = wandb.login(prompt=False, verify=True)
    except wandb.errors.Error as error:
        raise UserError(f"W&B does not accept the login: {_line(error)}.") from error
    if not known:
        raise UserError(
            "There is no W&B login to save the dashboard with: run `wandb login`, or set "
            "WANDB_API_KEY (and WANDB_BASE_URL for a server of your own)."
        )


def _line(error: Exception) -> str:
    line: str = scrub(str(error).partition("\n")[0])
    return line.rstrip(".")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="eagle-bench dashboard", description=__doc__)
    parser.add_argument("--project", required=True, help="the project that runs were logged to")
    parser.add_argument("--entity", help="user or team; default: the login's own")
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
