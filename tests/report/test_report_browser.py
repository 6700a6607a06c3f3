"""The page in a real browser: no error in its console, and no sideways scrolling on a phone."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from eagle_bench.results.report.write import write_report
from tests.report.conftest import fail, hostile_run
from tests.results.conftest import Finish, Simulation

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
FLAGS = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run "
    "--disable-background-networking --disable-component-update --disable-sync "
    "--allow-file-access-from-files --disable-web-security --enable-logging=stderr"
)
DARK, LIGHT = 0, 1
PROBE = """<!DOCTYPE html>
<iframe src="{url}" style="width:{width}px;height:800px;border:0"></iframe>
<script>onload = () => {{
  const page = document.querySelector("iframe").contentDocument;
  page.querySelectorAll("details").forEach(part => part.open = true);
  const style = getComputedStyle(page.body);
  document.title = [page.scrollingElement.scrollWidth, page.title, style.backgroundColor].join("|");
}}</script>"""

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine")


def look(page: Path, width: int, scheme: int, scratch: Path) -> tuple[int, str, str, str]:
    """Open the page in a frame of this width, all details open.

    Returns the width it needs (px), its title, its background, and the console's lines.
    """
    probe = scratch / f"probe{width}{scheme}.html"
    probe.write_text(PROBE.format(url=page.as_uri(), width=width))
    done = subprocess.run(
        [
            str(CHROMIUM),
            *FLAGS.split(),
            f"--user-data-dir={scratch / 'profile'}",
            f"--blink-settings=preferredColorScheme={scheme}",
            "--dump-dom",
            probe.as_uri(),
        ],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    found = re.search(r"<title>(\d+)\|(.*)\|(rgb.*)</title>", done.stdout)
    assert found, done.stderr
    console = "\n".join(line for line in done.stderr.splitlines() if "CONSOLE" in line)
    return int(found[1]), found[2], found[3], console


@pytest.fixture
def sweep_page(tmp_path: Path, finish: Finish) -> Path:
    """A sweep with long names, a failure and a job full of markup."""
    finish(tmp_path / "s" / "a", Simulation(gen_len=50), drafter__name="a_drafter_" * 6)
    finish(tmp_path / "s" / "b", Simulation(gen_len=100))
    finish(tmp_path / "s" / "c", Simulation(gen_len=200))
    hostile_run(tmp_path / "s" / "d")
    fail(tmp_path / "s" / "e", "out of memory " + "x" * 300, gen_len=500)
    return write_report(tmp_path / "s")


@pytest.mark.parametrize(("width", "scheme"), [(390, LIGHT), (1280, DARK)])
def test_page_fits_and_runs_nothing(
    sweep_page: Path, tmp_path: Path, width: int, scheme: int
) -> None:
    needed, title, background, console = look(sweep_page, width, scheme, tmp_path)
    assert needed <= width
    assert title == "s · eagle_bench"
    assert console == ""
    assert (background == "rgb(255, 255, 255)") == (scheme == LIGHT)
