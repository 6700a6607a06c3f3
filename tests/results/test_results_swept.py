"""Which settings count as swept."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from eagle_bench.records.job import Job
from eagle_bench.results.flatten import flatten
from eagle_bench.results.swept import label, slug, sort_jobs, swept_keys


def jobs(*configs):
    return [Job(Path(str(i)), "complete", config=config) for i, config in enumerate(configs)]


def test_tracker_and_output_are_never_swept():
    a = {"gen_len": 50, "tracker": {"name": "none"}, "output_dir": "a", "output": "json"}
    b = {"gen_len": 50, "tracker": {"name": "wandb"}, "output_dir": "b", "output": "table"}
    assert swept_keys(jobs(a, b)) == []


def test_a_setting_that_follows_from_its_groups_choice_is_not_named():
    embedded = {"drafter": {"name": "embedded", "path": None}}
    head = {"drafter": {"name": "eagle3", "path": "x"}}
    lookup = {"drafter": {"name": "prompt_lookup", "max_ngram": 3}}
    assert swept_keys(jobs(embedded, head, lookup)) == ["drafter.name"]
    other = {"drafter": {"name": "eagle3", "path": "y"}}
    assert swept_keys(jobs(embedded, head, other)) == ["drafter.name", "drafter.path"]
    assert swept_keys(jobs(head, other)) == ["drafter.path"]


def test_length_comes_first_then_groups():
    a = {"seed": 0, "decoding": {"name": "chain", "draft_len": 2}, "gen_len": 1}
    b = {"seed": 1, "decoding": {"name": "tree", "depth": 3}, "gen_len": 2}
    c = {"seed": 1, "decoding": {"name": "chain", "draft_len": 4}, "gen_len": 2}
    keys = swept_keys(jobs(a, b, c))
    assert keys == ["gen_len", "decoding.name", "seed", "decoding.draft_len"]
    assert [label(key, keys) for key in keys] == ["Length", "Decoding", "seed", "draft_len"]
    assert [slug(key) for key in keys] == ["gen_len", "decoding", "seed", "draft_len"]


def test_clashing_names_keep_their_path():
    keys = ["model.path", "drafter.path"]
    assert [label(key, keys) for key in keys] == keys


@given(st.lists(st.integers(0, 5000) | st.floats(0, 10), min_size=1))
def test_numbers_are_ordered_by_size(values):
    found = sort_jobs(jobs(*({"temperature": value} for value in values)), ["temperature"])
    assert [job.config["temperature"] for job in found] == sorted(values)


def test_texts_are_ordered_by_the_numbers_in_them():
    heads = [{"drafter": {"path": path}} for path in ("q/step_24", "q/step_488", None, "q/step_5")]
    found = sort_jobs(jobs(*heads), ["drafter.path"])
    assert [job.config["drafter"]["path"] for job in found[:3]] == [
        "q/step_5", "q/step_24", "q/step_488",
    ]  # fmt: skip


leaves = st.none() | st.integers() | st.text() | st.lists(st.integers())
names = st.text(st.characters(exclude_characters="."), min_size=1)
nested = st.recursive(
    st.dictionaries(names, leaves), lambda inner: st.dictionaries(names, leaves | inner)
)


@given(nested)
def test_flattening_keeps_every_leaf_under_its_path(tree):
    def look_up(path):
        node = tree
        for name in path.split("."):
            node = node[name]
        return node

    flat = flatten(tree)
    assert all(look_up(path) == value for path, value in flat.items())

    def count(node):
        return sum(count(v) if isinstance(v, dict) else 1 for v in node.values())

    assert len(flat) == count(tree)
