"""The W&B dashboard: what the object says, what a server gets, and what is said without one."""

from __future__ import annotations

import json
import sys
from base64 import b64decode
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import pytest
import wandb

from eagle_bench.dashboard import main
from eagle_bench.results.charts.files import plot_sweep
from eagle_bench.results.flatten import flatten
from eagle_bench.results.trackers.curves import curve_point

KEY = "0" * 40
MODULE = "eagle_bench.results.trackers.wandb_workspace"


@pytest.fixture(autouse=True)
def _nobody(tmp_path, monkeypatch) -> Iterator[None]:
    monkeypatch.setenv("NETRC", str(tmp_path / "no-netrc"))
    monkeypatch.setenv("WANDB_CONFIG_DIR", str(tmp_path / "config"))
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    wandb.teardown()
    yield
    wandb.teardown()


@pytest.fixture
def asked() -> list[dict[str, Any]]:
    """What the server was asked."""
    return []


@pytest.fixture
def refused() -> set[str]:
    """What the server does not do."""
    return set()


@pytest.fixture
def server(asked, refused, monkeypatch) -> Iterator[str]:
    """A W&B server as far as this command needs one; it knows one key."""

    class Answer(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            if self.path != "/graphql":
                self.send_error(404)
                return
            question = json.loads(body)
            asked.append(question)
            key = b64decode(self.headers["authorization"].split()[1]).decode().partition(":")[2]
            if key != KEY or any(name in question["query"] for name in refused):
                self.answer(401, {"errors": [{"message": "you may not"}]})
                return
            data: dict[str, Any] = {"viewer": {"id": "1", "username": "me", "entity": "mine"}}
            if "upsertView" in question["query"]:
                data = {"upsertView": {"view": {"id": "7", "name": "nw-abc-v"}, "inserted": True}}
            self.answer(200, {"data": data})

        def answer(self, status: int, document: dict[str, Any]) -> None:
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.end_headers()
            self.wfile.write(json.dumps(document).encode())

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Answer) as running:
        Thread(target=running.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{running.server_port}"
        monkeypatch.setenv("WANDB_BASE_URL", url)
        monkeypatch.setenv("WANDB_API_KEY", KEY)
        yield url
        running.shutdown()


def panels(question: dict[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """The panels' settings by kind, as they were sent."""
    spec = json.loads(question["variables"]["spec"])
    found: dict[str, list[dict[str, Any]]] = {}
    for section in spec["section"]["panelBankConfig"]["sections"]:
        for panel in section["panels"]:
            found.setdefault(panel["viewType"], []).append(panel["config"])
    return found


def test_a_server_gets_panels_of_what_runs_log(server, asked, capsys, record, sweep_record):
    assert main(["--project", "bench"]) == 0, capsys.readouterr().err
    assert capsys.readouterr().out.startswith(f"{server}/mine/bench")
    [sent] = [question for question in asked if "upsertView" in question["query"]]
    assert sent["variables"] | {"entityName": "mine", "projectName": "bench"} == sent["variables"]
    found = panels(sent)
    logged = set(curve_point(record.job))
    curves = found["Run History Line Plot"]
    assert {curve["xAxis"] for curve in curves} == {"gen_len"} <= logged
    assert {name for curve in curves for name in curve["metrics"]} == logged - {"gen_len"}
    bars, settings = found["Bar Chart"], flatten(record.job.config)
    assert {name for bar in bars for name in bar["metrics"]} <= set(flatten(record.job.summary))
    assert {bar["groupBy"].replace(".value.", ".") for bar in bars} <= set(settings)
    [scatter] = found["Scatter Plot"]
    assert (scatter["xAxis"], scatter["yAxis"]) == ("summary:speed/tau", "summary:speedup.pooled")
    [pictures] = found["Media Browser"]
    drawn = {f"pictures/{path.stem}" for path in plot_sweep([record.job], record.job.folder)}
    assert set(pictures["mediaKeys"]) == drawn
    assert '"val": "sweep"' in json.dumps(found["Weave"])


def test_without_a_login_it_says_what_is_missing(capsys):
    assert main(["--project", "bench"]) == 2
    assert "wandb login" in capsys.readouterr().err


def test_a_key_that_the_server_refuses_is_not_shown(server, capsys, monkeypatch):
    monkeypatch.setenv("WANDB_API_KEY", "1" * 40)
    assert main(["--project", "bench"]) == 2
    told = capsys.readouterr().err
    assert "does not accept the login" in told
    assert "1" * 40 not in told


def test_a_server_that_does_not_save(server, capsys, refused):
    refused.add("upsertView")
    assert main(["--project", "bench"]) == 1
    assert "did not save the dashboard: you may not." in capsys.readouterr().err


def test_a_missing_package_names_its_extra(monkeypatch, capsys):
    monkeypatch.delitem(sys.modules, MODULE, raising=False)
    for module in [name for name in sys.modules if name.startswith("wandb_workspaces")]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, "wandb_workspaces", None)
    assert main(["--project", "bench"]) == 2
    assert "pip install 'eagle_bench[dashboard]'" in capsys.readouterr().err
