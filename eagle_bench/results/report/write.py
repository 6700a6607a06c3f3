"""From jobs on disk to one HTML file."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from eagle_bench.results.atomic import write_text
from eagle_bench.results.derived import derived_figures
from eagle_bench.results.find import find_jobs
from eagle_bench.results.report.page import Page, build_page
from eagle_bench.results.report.template import fill

REPORT_FILE = "report.html"


def write_report(
    folder: Path, output: Path | None = None, derived: pd.DataFrame | None = None
) -> Path:
    """Write the report on the jobs under `folder`, by default into that folder.

    `derived` are the jobs' `derived_figures`, where they are known already.

    Returns
    -------
    Path
        The file, self-contained: it loads nothing and runs no script.

    Raises
    ------
    UserError
        No such folder, or nothing of eagle_bench in it.
    RunFailure
        The file cannot be written.
    """
    path = output or folder / REPORT_FILE
    found = find_jobs([folder])
    figures = derived_figures(found.jobs) if derived is None else derived
    write_text(path, render(build_page(found, folder, figures)))
    return path


def render(page: Page) -> str:
    """The page as HTML; every text is escaped."""
    return fill("report.html.jinja", page=page)
