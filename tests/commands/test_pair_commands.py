"""`python -m eagle_bench.proxy` and `python -m eagle_bench.distribution` as a user starts them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from omegaconf import OmegaConf

from eagle_bench import distribution, proxy
from eagle_bench.config.pair import DistributionConfig, ProxyConfig
from eagle_bench.decoding import loop
from eagle_bench.decoding.accept import Acceptance
from eagle_bench.launch import registry as schema
from tests.report.conftest import parse
from tests.report.test_report_browser import CHROMIUM, DARK, LIGHT, look

PROXY = ("num_samples=2", "ttt_length=3", "gen_len=24", "shown=1", "shown_tokens=6", "threads=1")
DRAWS = ("num_samples=1", "tokens=2", "top_k=3", "draws=90", "threads=1")
COMMANDS = {"proxy": proxy.main, "distribution": distribution.main}


def call(name: str, folder: Path, monkeypatch: pytest.MonkeyPatch, *overrides: str) -> int:
    """The exit code of a command run in this process."""
    GlobalHydra.instance().clear()
    monkeypatch.setattr(sys, "argv", [name, *overrides, f"output_dir={folder}"])
    try:
        COMMANDS[name]()
    except SystemExit as end:
        return int(str(end.code))
    return 0


def test_both_configs_compose_and_validate() -> None:
    schema.register()
    for name, kind in (("proxy", ProxyConfig), ("distribution", DistributionConfig)):
        with initialize_config_dir(schema.CONF, version_base="1.3"):
            assert isinstance(OmegaConf.to_object(compose(name)), kind)


@pytest.fixture(scope="module")
def proxied(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The folder that the command leaves, and what it prints."""
    given = tmp_path_factory.mktemp("proxy")
    done = subprocess.run(
        [sys.executable, "-m", "eagle_bench.proxy", *PROXY, f"output_dir={given}"],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "The proxy predicts" in done.stderr
    [folder] = given.iterdir()
    return folder, done.stdout


def test_proxy_leaves_a_page_and_its_figures(proxied: tuple[Path, str]) -> None:
    folder, printed = proxied
    figures = json.loads((folder / "proxy.json").read_text())["figures"]
    first = f"{figures['positions'][0]['accuracy']['value']:.1%}"
    assert first in printed
    assert "✗" in printed
    page = (folder / "proxy.html").read_text(encoding="utf-8")
    root = parse(page)
    assert "<script" not in page
    assert "http" not in page.replace("http-equiv", "")
    [text] = root.all("table", "drafts")
    assert len(text.all("tr")) == 1 + 6
    cells = text.all("span", "accepted") + text.all("span", "missed")
    assert len(cells) == 6 * 3
    assert first in root.text
    assert len(root.all("figure")) == 3


@pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine")
@pytest.mark.parametrize(("width", "scheme"), [(390, LIGHT), (1280, DARK)])
def test_the_page_fits_a_phone_and_a_screen(
    proxied: tuple[Path, str], tmp_path: Path, width: int, scheme: int
) -> None:
    page = proxied[0] / "proxy.html"
    needed, title, background, console = look(page, width, scheme, tmp_path)
    assert needed <= width
    assert title.startswith("Proxy against true")
    assert background == ("rgb(15, 20, 26)" if scheme == DARK else "rgb(255, 255, 255)")
    assert console == ""


def test_proxy_prints_one_json_document(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    overrides = (*PROXY, "drafter=draft_model", "shown=0", "output=json")
    assert call("proxy", tmp_path, monkeypatch, *overrides) == 0
    document = json.loads(capfd.readouterr().out.splitlines()[-1])
    kept = json.loads((Path(document.pop("folder")) / "proxy.json").read_text())
    assert kept == document
    values = {each["accuracy"]["value"] for each in kept["figures"]["positions"]}
    assert len(values) == 1


def accepts_every_draft(draft, logits, sampling, streams):  # type: ignore[no-untyped-def]
    """Broken: drafted tokens are never refused."""
    if not draft.nodes:
        return honest(draft, logits, sampling, streams)
    path = list(range(draft.nodes + 1))
    return [
        Acceptance(path, [*tokens, int(logits[row, -1].argmax())], draft.nodes, draft.depth)
        for row, tokens in enumerate(draft.tokens.tolist())
    ]


honest = loop.accept_sampled


def test_distribution_tells_a_lossless_arm_from_a_biased_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    assert call("distribution", tmp_path, monkeypatch, *DRAWS, "output=json") == 0
    document = json.loads(capfd.readouterr().out.splitlines()[-1])
    assert document["consistent"]
    [first, *_] = document["speculative"]["fits"].values()
    assert first["freedom"] > 1
    assert (Path(document["folder"]) / "distribution.json").is_file()
    monkeypatch.setattr(loop, "accept_sampled", accepts_every_draft)
    assert call("distribution", tmp_path, monkeypatch, *DRAWS) == 1
    told = capfd.readouterr()
    assert "chain does not emit what the target's distribution says" in told.err
    assert "Traceback" not in told.err
    assert "baseline" in told.out


@pytest.mark.parametrize(
    ("name", "overrides", "telling"),
    [
        ("proxy", ("ttt_length=0",), "ttt_length=0 must be at least 1"),
        ("proxy", ("text=nonsense",), "nonsense"),
        ("proxy", ("drafter=random",), "drafter=random is no network"),
        ("proxy", ("decoding=tree",), "decoding"),
        ("distribution", ("temperature=0",), "temperature=0"),
        ("distribution", ("top_k=1",), "top_k=1 leaves nothing to chance"),
        ("distribution", ("top_k=20",), "set top_k=4 or draws=40000"),
        ("distribution", ("top_k=0", "threads=1"), "set top_k=4."),
        ("distribution", ("temperature=0.1", "threads=1"), "raise temperature=0.1"),
        ("distribution", ("decoding=two_pass",), "greedy"),
        ("distribution", ("drafter=oracle",), "temperature=0"),
    ],
)
def test_a_users_mistake_is_one_sentence_and_exit_code_2(
    name: str,
    overrides: tuple[str, ...],
    telling: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    assert call(name, tmp_path, monkeypatch, *overrides) == 2
    told = capfd.readouterr().err
    assert "Traceback" not in told
    assert telling in told


@pytest.mark.parametrize("name", COMMANDS)
def test_help_imports_no_torch(name: str) -> None:
    code = (
        f"import sys; from eagle_bench.{name} import main\n"
        "try: main()\n"
        "finally: assert 'torch' not in sys.modules, 'torch was imported'\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "--help"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "num_samples" in done.stdout
