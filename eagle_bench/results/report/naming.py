"""What jobs and their settings are called in the report."""

from __future__ import annotations

from collections.abc import Sequence

from eagle_bench.results.job import Job
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


def method_name(job: Job) -> str:
    """The method and what drafts for it: `chain (embedded)`."""
    drafter = setting(job, "drafter.name")
    return f"{job.method} ({drafter})" if drafter else str(job.method)


def _named(job: Job, key: str, keys: Sequence[str]) -> str:
    value = place_name(job, key)
    if key == GEN_LEN:
        return f"{value} tokens"
    return value if key.endswith(".name") else f"{label(key, keys)} {value}"
