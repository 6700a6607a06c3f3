"""Templates as HTML files that open from disk: style inside, every text escaped."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from eagle_bench.errors import CONTROL
from eagle_bench.results.charts.svg import bars_view, lines_view

HERE = Path(__file__).parent


def fill(template: str, *, folder: Path = HERE.parent, **values: Any) -> str:
    """The page that `template`, a file beside this one or in `folder`, makes of `values`.

    It gets the common stylesheet as `style` and may import `macros.html.jinja`.
    """
    environment = Environment(
        loader=FileSystemLoader([HERE, folder]),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_shown,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals |= {"bars_view": bars_view, "lines_view": lines_view}
    style = (HERE / "report.css").read_text(encoding="utf-8")
    return environment.get_template(template).render(style=style, **values)


def _shown(value: Any) -> Any:
    """Control characters have no place in HTML; `Markup` stays `Markup`."""
    return value.translate(CONTROL) if isinstance(value, str) else value
