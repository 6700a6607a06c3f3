"""`engine=vllm` without URLs: what is started, kept for the next job, ended, and refused."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from engine_run import engine_config

from eagle_bench.config.decoding import ChainConfig
from eagle_bench.config.engine import EngineConfig, VllmConfig
from eagle_bench.config.model import ModelConfig
from eagle_bench.config.run import RunConfig
from eagle_bench.engines.build import Arms, build_arms, check_engine
from eagle_bench.engines.session import Session
from eagle_bench.engines.setup import chosen_prompts
from eagle_bench.errors import RunFailure, UserError

STUB = f"""#!{sys.executable} -I
import json, os, sys
from http.server import BaseHTTPRequestHandler, HTTPServer
if sys.argv[1] == "-c":
    raise SystemExit(0)
words = dict(zip(sys.argv[1:], sys.argv[2:]))
print("threads", os.environ["OMP_NUM_THREADS"], flush=True)
drafting = json.loads(words.get("--speculative-config", "{{}}"))
if drafting.get("num_speculative_tokens") == 7:
    raise SystemExit("vllm: no such flag")
head = os.path.exists(os.path.join(drafting.get("model", "/nowhere"), "config.json"))
pages = {{
    "/health": None,
    "/version": {{"version": "0.32.0" if bool(drafting) is head else "without its head"}},
    "/v1/models": {{"data": [{{"id": words["--served-model-name"]}}]}},
}}
class Pages(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps(pages[self.path]).encode())
HTTPServer(("127.0.0.1", int(words["--port"])), Pages).serve_forever()
"""


@pytest.fixture
def config(tmp_path: Path) -> RunConfig:
    stub = tmp_path / "python"
    stub.write_text(STUB)
    stub.chmod(0o755)
    return engine_config(engine=VllmConfig(name="vllm", python=str(stub)), num_samples=3)


def arms_of(config: RunConfig, session: Session, folder: Path) -> Arms:
    check_engine(config)
    return build_arms(config, session, chosen_prompts(config).prompts, folder)


def urls(arms: Arms) -> list[str]:
    served: list[Any] = [arms.baseline, arms.speculative]
    return [arm.client.url for arm in served]


def test_both_arms_are_started_and_kept_for_the_next_job(
    config: RunConfig, session: Session, tmp_path: Path
) -> None:
    first = arms_of(config, session, tmp_path)
    assert [each["version"] for each in first.about["servers"]] == ["0.32.0", "0.32.0"]
    plain, drafting = (each["command"] for each in first.about["servers"])
    assert plain[plain.index("--max-model-len") + 1] == "1024"
    assert drafting[: len(plain)] == [*plain[:10], drafting[10], *plain[11:]], "all but the port"
    asked = json.loads(drafting[drafting.index("--speculative-config") + 1])
    assert (asked["method"], asked["num_speculative_tokens"]) == ("eagle3", 4)
    assert (tmp_path / "server_baseline.log").read_text().startswith("threads 1\n")
    assert (tmp_path / "server_chain.log").is_file()
    longer = replace(config, gen_len=100)
    assert urls(arms_of(longer, session, tmp_path)) == urls(first)
    other = replace(config, decoding=ChainConfig(name="chain", draft_len=3))
    assert urls(arms_of(other, session, tmp_path)) != urls(first)
    served: Any = first.speculative
    build_arms(replace(config, engine=EngineConfig(name="own")), session, ())
    assert not served.client.answers("/health"), "an idle server would disturb our own loop"


def test_a_server_that_does_not_start_says_why(
    config: RunConfig, session: Session, tmp_path: Path
) -> None:
    doomed = replace(config, decoding=ChainConfig(name="chain", draft_len=7))
    said = r"ended before it was ready: vllm: no such flag \(all of it is in server_chain.log\)"
    with pytest.raises(RunFailure, match=said):
        arms_of(doomed, session, tmp_path)


def test_what_cannot_be_started_is_refused_before_anything_is_loaded(config: RunConfig) -> None:
    engine = VllmConfig(name="vllm", python=sys.executable)
    with pytest.raises(UserError, match="has no vLLM: name the Python of an environment"):
        check_engine(replace(config, engine=engine))
    with pytest.raises(UserError, match=r"engine.python=/no/python cannot be run: No such file"):
        check_engine(replace(config, engine=replace(engine, python="/no/python")))
    with pytest.raises(UserError, match="is started on the CPU: device=cpu"):
        check_engine(replace(config, device="cuda"))


def test_a_target_that_vllm_is_not_given_is_refused(
    config: RunConfig, session: Session, tmp_path: Path
) -> None:
    file = ModelConfig(name="local", path="model.gguf")
    with pytest.raises(UserError, match="HF folder or hub id, not as GGUF"):
        build_arms(replace(config, model=file), session, (), tmp_path)
