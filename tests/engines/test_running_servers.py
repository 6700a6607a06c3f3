"""`engine.url=`: the user's own servers, here ones that draft with our loop."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from engine_run import Nobody, engine_config
from fake_server import Fake, serving

from eagle_bench.config.engine import ENGINES, ServedConfig
from eagle_bench.config.measure import MeasureConfig
from eagle_bench.config.run import RunConfig
from eagle_bench.decoding.build import build_baseline, build_speculative
from eagle_bench.engines.build import check_engine
from eagle_bench.engines.session import Loader, Session
from eagle_bench.errors import RunFailure, UserError
from eagle_bench.measure.job import run_job
from eagle_bench.records.rowfiles import read_generations

SMALL = {
    "gen_len": 24,
    "num_samples": 5,
    "measure": MeasureConfig(preflight=False, remeasure=0, bootstrap_resamples=200, warmup_max=2),
}


def running(name: str, urls: tuple[str, str], **settings: Any) -> RunConfig:
    kind = ENGINES[name]
    assert issubclass(kind, ServedConfig)
    engine = kind(name=name, baseline_url=urls[0], url=urls[1], **settings)
    return engine_config(engine=engine, **SMALL)


@contextmanager
def servers(
    session: Session, name: str, answers: int | None = None
) -> Iterator[tuple[tuple[str, str], Fake]]:
    config = engine_config()
    text = session.chat.tokenizer.decode
    without = Fake(build_baseline(config, session.target), name, text)
    drafting = build_speculative(config, session.target, session.drafter.drafter)
    fake = Fake(drafting, name, text, answers)
    with serving(without) as first, serving(fake) as second:
        yield (f"http://127.0.0.1:{first}", f"http://127.0.0.1:{second}"), fake


@pytest.mark.parametrize("name", ["vllm", "sglang"])
def test_a_faithful_engine_has_no_gap(name: str, session: Session, tmp_path: Path) -> None:
    with servers(session, name) as (urls, _):
        job = run_job(running(name, urls), tmp_path, Loader(), Nobody())
    summary, engine = job.summary, job.provenance["engine"]
    gap, chain = summary["engine_gap"], summary["arms"]["chain"]
    version = {"vllm": "0.32.0", "sglang": "0.5.23"}[name]
    assert [(each["url"], each["version"]) for each in engine["servers"]] == [
        (url, version) for url in urls
    ]
    assert (gap["pooled"], gap["equal_prompts"], gap["same_tokens"]) == (1.0, 5, 5)
    assert summary["lossless"]["exact_share"] == 1.0
    assert summary["arms"]["baseline"]["calls_per_token"] == 1.0
    assert chain["tau"] > 2
    assert bool(chain["per_position"]) is (name == "vllm"), "SGLang's histogram has no order"


def test_what_a_text_only_server_does_not_tell_is_null(session: Session, tmp_path: Path) -> None:
    with servers(session, "openai") as (urls, _):
        summary = run_job(running("openai", urls), tmp_path, Loader(), Nobody()).summary
    chain = summary["arms"]["chain"]
    assert summary["engine_gap"] is None
    unknown = ("tau", "tau_macro", "acceptance_rate", "calls_per_token", "rounds", "draft_calls")
    assert {chain[name] for name in unknown} == {None}
    assert chain["throughput_tok_s"] > 0
    assert summary["speedup"]["pooled"] > 0


def test_an_older_vllm_is_measured_without_what_it_does_not_tell(
    session: Session, tmp_path: Path
) -> None:
    with servers(session, "vllm") as (urls, fake):
        fake.old = True
        summary = run_job(running("vllm", urls), tmp_path, Loader(), Nobody()).summary
    assert summary["engine_gap"] is summary["arms"]["chain"]["tau"] is None
    assert summary["lossless"]["exact_share"] == 1.0


def test_another_model_behind_the_right_url_is_told(
    session: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with servers(session, "vllm") as (urls, fake):
        own = fake.generate
        monkeypatch.setattr(fake, "generate", lambda ids, gen_len: own(ids[::-1], gen_len))
        said = "arm chain serves another model than embedded: of the first 72 tokens"
        with pytest.raises(UserError, match=said):
            run_job(running("vllm", urls), tmp_path, Loader(), Nobody())
    assert not read_generations(tmp_path)[0]


def test_a_server_that_is_silent_is_waited_for_as_long_as_is_said() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        with pytest.raises(
            UserError, match=r"did not answer /version within 0.1 s .engine.timeout_s"
        ):
            check_engine(running("vllm", (url, url), timeout_s=0.1))


def test_rows_of_a_server_that_dies_are_kept_and_resumed(session: Session, tmp_path: Path) -> None:
    with servers(session, "vllm", answers=8) as (urls, fake):
        config = running("vllm", urls)
        with pytest.raises(RunFailure, match="no server answers at http://127.0.0.1"):
            run_job(config, tmp_path, Loader(), Nobody())
        kept = len(read_generations(tmp_path)[0])
        assert 0 < kept < 10
        fake.answers = None
        summary = run_job(config, tmp_path, Loader(), Nobody()).summary
    assert summary["resumed_generations"] in (kept, kept - 1), "half a pair is run again"
    assert summary["engine_gap"]["equal_prompts"] == 5


def test_credentials_are_sent_and_stand_in_no_file(
    session: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SERVERS", "key-of-mine")
    with servers(session, "sglang") as (urls, fake):
        named = tuple(url.replace("//", "//me:swordfish@") for url in urls)
        run_job(running("sglang", named), tmp_path, Loader(), Nobody())  # type: ignore[arg-type]
        assert fake.seen[-1]["Authorization"].startswith("Basic ")
        check_engine(running("sglang", urls, key_env="SERVERS"))
        assert fake.seen[-1]["Authorization"] == "Bearer key-of-mine"
    for path in tmp_path.rglob("*"):
        assert path.is_dir() or b"swordfish" not in path.read_bytes(), path


def test_mistakes_are_told_before_anything_is_loaded(session: Session) -> None:
    with servers(session, "vllm") as (urls, _):
        check_engine(running("vllm", urls))
        with pytest.raises(UserError, match="serves m: say which with engine.model"):
            check_engine(running("vllm", urls, model="other"))
        with pytest.raises(UserError, match="answered 404 Not Found to /props: nothing here"):
            check_engine(running("llama_cpp", urls))
        with pytest.raises(UserError, match="engine.key_env=NO_SUCH_KEY is not set"):
            check_engine(running("vllm", urls, key_env="NO_SUCH_KEY"))
    with pytest.raises(UserError, match="no server answers at http://127.0.0.1"):
        check_engine(running("vllm", urls))
    with pytest.raises(UserError, match="must be http://HOST:PORT"):
        check_engine(running("vllm", ("localhost", "localhost")))
    with pytest.raises(UserError, match="measures running servers"):
        check_engine(engine_config(engine=ENGINES["sglang"](name="sglang")))
    with pytest.raises(UserError, match="go together"):
        ServedConfig(name="vllm", url="http://here")
