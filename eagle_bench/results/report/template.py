"""Templates as HTML files that open from disk: style inside, every text escaped."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from eagle_bench.errors import CONTROL
from eagle_bench.results.charts.svg import MARKS, bars_view, lines_view
from eagle_bench.results.report.places import without_places

HERE = Path(__file__).parent


def fill(template: str, *, folder: Path = HERE.parent, **values: Any) -> str:
    """The page that `template`, a file beside this one or in `folder`, makes of `values`.

    Paths are cut to their last names, save in what the filter `quoted` marks. The page gets the
    common stylesheet as `style` and may import `macros.html.jinja`.
    """
    environment = Environment(
        loader=FileSystemLoader([HERE, folder]),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_shown,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["quoted"] = Quoted
    environment.globals |= {"bars_view": bars_view, "lines_view": lines_view, "marks": MARKS}
    style = (HERE / "report.css").read_text(encoding="utf-8")
    return environment.get_template(template).render(style=style, **values)


class Quoted(str):
    """Somebody's words, which are shown as they are."""


def _shown(value: Any) -> Any:
    """Control characters have no place in HTML; `Markup` stays `Markup`."""
    if not isinstance(value, str):
        return value
    visible = value.translate(CONTROL)
    return visible if isinstance(value, Quoted | Markup) else without_places(visible)
