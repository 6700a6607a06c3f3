"""What jobs and their settings are called in the report."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from eagle_bench.records.job import Job
from eagle_bench.results.swept import GEN_LEN, label, settings, value_text


def setting(job: Job, key: str) -> object:
    """The value of a dotted setting; a summary tells `gen_len` where the config does not."""
    return settings(job.config).get(key, job.summary.get(key))


def place_name(job: Job, key: str) -> str:
    """The job's tick on an axis of `key`."""
    return value_text(setting(job, key))


def job_name(job: Job, keys: Sequence[str]) -> str:
    """The job by its settings, `60 tokens, draft_len 4`; by its folder without a config."""
    if not job.config or not keys:
        return job.folder.name
    return ", ".join(_named(job, key, keys) for key in keys)


def distinct_names(jobs: Sequence[Job], keys: Sequence[str]) -> list[str]:
    """`job_name` of each job, with its folder where others have the same settings."""
    names = [job_name(job, keys) for job in jobs]
    count = Counter(names)
    folders = _relative([job.folder for job in jobs])
    return [
        name if count[name] == 1 else f"{name} ({folder})"
        for name, folder in zip(names, folders, strict=True)
    ]


def series_names(jobs: Sequence[Job], key: str, others: Sequence[str]) -> list[str]:
    """The series of each job on an axis of `key`, so that no series has two jobs at one place.

    It is named by the other swept settings; by the folder above where these do not tell the
    jobs apart (two sweeps over the same settings), or else by the job's own folder.
    """
    places = [place_name(job, key) for job in jobs]
    folders = [job.folder for job in jobs]
    candidates = (
        [job_name(job, others) if others else "" for job in jobs],
        _relative([folder.parent for folder in folders]),
    )
    for names in candidates:
        if len(set(zip(places, names, strict=True))) == len(jobs):
            return names
    return _relative(folders)


def method_name(job: Job) -> str:
    """The method and what drafts for it: `chain (embedded)`."""
    drafter = setting(job, "drafter.name")
    return f"{job.method} ({drafter})" if drafter else str(job.method)


def _named(job: Job, key: str, keys: Sequence[str]) -> str:
    value = place_name(job, key)
    if key == GEN_LEN:
        return f"{value} tokens"
    return value if key.endswith(".name") else f"{label(key, keys)} {value}"


def _relative(folders: Sequence[Path]) -> list[str]:
    resolved = [folder.resolve() for folder in folders]
    above = os.path.commonpath([folder.parent for folder in resolved])
    return [str(folder.relative_to(above)) for folder in resolved]
