"""From jobs on disk to one HTML file."""

from __future__ import annotations

from pathlib import Path

from eagle_bench.errors import UserError
from eagle_bench.records.atomic import write_text
from eagle_bench.records.find import find_jobs
from eagle_bench.results.derived import derived_figures
from eagle_bench.results.report.page import Page, build_page
from eagle_bench.results.report.template import fill

REPORT_FILE = "report.html"


def write_report(folder: Path, output: Path | None = None) -> Path:
    """Read the jobs under `folder` and write the report on them, by default into that folder.

    Returns
    -------
    Path
        The file, self-contained: it loads nothing and runs no script.

    Raises
    ------
    UserError
        No such folder, or nothing of eagle_bench in it that can be read.
    RunFailure
        The file cannot be written.
    """
    found = find_jobs([folder])
    if not found.jobs:
        raise UserError(f"There is nothing to report on: {'; '.join(found.skipped)}.")
    page = build_page(found, folder, derived_figures(found.jobs))
    return write_page(page, output or folder / REPORT_FILE)


def write_page(page: Page, path: Path) -> Path:
    """Write the page as HTML; returns `path`."""
    write_text(path, render(page))
    return path


def render(page: Page) -> str:
    """The page as HTML; every text is escaped."""
    return fill("report.html.jinja", page=page)
