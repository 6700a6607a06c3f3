"""Secrets stay inside; everything else comes through untouched."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eagle_bench.records.scrub import scrub
from eagle_bench.records.store import RunFolder

SECRET = "s3cr3t-Value-0123456789"


@pytest.mark.parametrize(
    "config",
    [
        {"api_key": SECRET},
        {"tracker": {"wandb_api_key": SECRET}},
        {"HF_TOKEN": SECRET},
        {"a": [{"db-password": SECRET}]},
        {"uri": f"https://user:{SECRET}@host/path"},
        {"uri": f"postgresql://{SECRET}@host/db"},
        {"uri": f"https://me:with@{SECRET}@host/db"},
        {"override": f"tracker.uri=https\\://me\\:{SECRET}@host"},
        {"reason": f"https:/me:{SECRET}@host/file does not exist"},
        {"overrides": [f"+wandb.api_key={SECRET}"]},
        {"tags": ["my_hf_" + SECRET.replace("-", "")]},
        {"uri": f"https://host/file?X-Amz-Signature={SECRET}&a=1"},
        {"path": f"see https://host/x?access_token={SECRET}"},
        {"note": "used hf_" + SECRET.replace("-", "")},
    ],
)
def test_secrets_do_not_come_through(config):
    text = json.dumps(scrub(config))
    assert SECRET not in text
    assert SECRET.replace("-", "") not in text
    assert "***" in text


def test_the_value_of_a_secret_variable_is_hidden_wherever_it_stands(monkeypatch):
    monkeypatch.setenv("SOME_API_KEY", SECRET)
    assert scrub({"path": f"/data/{SECRET}/x"}) == {"path": "/data/***/x"}


def test_names_of_this_project_are_no_secrets(config):
    plain = config() | {
        "drafter": {"embedding_key": "model.embed_tokens.weight", "preflight_tokens": 256},
        "num_draft_tokens": 24,
        "uri": "https://host:8080/path?page=2",
        "git_sha": "0123456789abcdef0123456789abcdef01234567",
        "api_key": None,
    }
    assert scrub(plain) == plain


@given(st.recursive(st.none() | st.integers() | st.floats(allow_nan=False), st.lists))
def test_numbers_are_never_touched(value):
    assert scrub({"token": value}) == {"token": value}


def test_result_json_has_no_secret(tmp_path, config):
    with RunFolder(tmp_path) as run:
        secret = config(tracker__uri=f"https://me:{SECRET}@host")
        run.fail(f"no answer from https://me:{SECRET}@host", secret, {"api_key": SECRET})
    assert SECRET not in (tmp_path / "result.json").read_text()
