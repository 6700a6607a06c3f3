"""The other trackers: what really arrives in their stores; mistakes; presets."""

from __future__ import annotations

import sys

import pytest
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from omegaconf import OmegaConf

from eagle_bench.config.tracker import TRACKERS, TrackerConfig
from eagle_bench.errors import UserError
from eagle_bench.launch.registry import CONF, register
from eagle_bench.results.trackers.build import make_tracker


def test_tensorboard_holds_the_curves(tmp_path, record, sweep_record, secret):
    pytest.importorskip("tensorboard", reason="the extra `tensorboard` is not installed")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    tracker = make_tracker(TrackerConfig("tensorboard"), tmp_path / "track", lambda line: None)
    tracker.log_job(record)
    tracker.log_sweep(sweep_record)
    folders = {path.parent for path in (tmp_path / "track").rglob("events.*")}
    assert len(folders) == 2
    for folder in folders:
        events = EventAccumulator(str(folder))
        events.Reload()
        (speedup,) = events.Scalars("speed/speedup")
        assert speedup.step == 60
        assert speedup.value == pytest.approx(record.job.speedup["pooled"])
        assert secret not in "".join(p.read_bytes().decode("latin-1") for p in folder.iterdir())


def test_mlflow_holds_the_runs(tmp_path, record, sweep_record, secret, monkeypatch):
    mlflow = pytest.importorskip("mlflow", reason="the extra `mlflow` is not installed")
    pytest.importorskip("sqlalchemy", reason="mlflow has no local store here")
    folder = tmp_path / "track"
    monkeypatch.chdir(tmp_path)
    tracker = make_tracker(TrackerConfig("mlflow"), folder, lambda line: None)
    tracker.log_job(record)
    tracker.log_sweep(sweep_record)
    runs = mlflow.search_runs(experiment_names=["eagle_bench"])
    assert sorted(runs["tags.job_type"]) == ["chain", "report"]
    run = runs[runs["tags.job_type"] == "chain"].iloc[0]
    assert run["params.decoding.draft_len"] == "4"
    assert run["metrics.speed/speedup"] == pytest.approx(record.job.speedup["pooled"])
    assert secret not in run["params.tracker.uri"]
    assert len(list(folder.rglob("table.md"))) == 2
    assert not (tmp_path / "mlruns").exists()


@pytest.mark.parametrize("name", ["tensorboard", "mlflow"])
def test_a_missing_library_names_its_extra(tmp_path, monkeypatch, name):
    monkeypatch.delitem(sys.modules, f"eagle_bench.results.trackers.{name}_tracker", raising=False)
    for module in [m for m in sys.modules if m.startswith((name, "torch.utils.tensorboard"))]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(UserError, match=rf"pip install 'eagle_bench\[{name}\]'"):
        make_tracker(TrackerConfig(name), tmp_path, lambda line: None)


def test_none_logs_nothing(tmp_path, record):
    tracker = make_tracker(TrackerConfig("none"), tmp_path / "track", lambda line: None)
    tracker.log_job(record)
    assert not (tmp_path / "track").exists()


@pytest.mark.parametrize("settings", [{"name": "wanbd"}, {"name": "wandb", "mode": "onlin"}])
def test_mistakes_of_the_user(settings):
    with pytest.raises(UserError, match="must be one of"):
        TrackerConfig(**settings)


@pytest.mark.parametrize("name", TRACKERS)
def test_every_preset_makes_a_tracker_config(name):
    register()
    GlobalHydra.instance().clear()
    with initialize_config_dir(CONF, version_base="1.3"):
        composed = compose("config", overrides=[f"tracker={name}"])
    tracker = OmegaConf.to_object(composed.tracker)
    assert isinstance(tracker, TrackerConfig)
    assert (tracker.name, tracker.mode) == (name, "offline")
    GlobalHydra.instance().clear()


def test_a_tag_too_long_for_wandb_is_refused_at_once():
    assert TrackerConfig("wandb", tags=["a" * 64]).tags
    for tag in ("", "a" * 65):
        with pytest.raises(UserError, match=f"of {len(tag)} characters; W&B takes 1 to 64"):
            TrackerConfig("wandb", tags=[tag])
