"""P-EAGLE heads: told from EAGLE heads, read in their layouts, all levels in one pass."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from head_maker import HIDDEN, VOCAB, Tiny, load_head, tiny

from eagle_bench.config.drafter import PEagleConfig
from eagle_bench.drafters.heads import load
from eagle_bench.drafters.heads.export import save_head
from eagle_bench.drafters.heads.ttt import ttt_hidden, use_ttt_attention
from eagle_bench.errors import UserError
from eagle_bench.inspect import inspect, render

MASK = 7


def slotted(**said: int) -> Tiny:
    made = tiny(layers=2)
    made.weights["mask_hidden"] = torch.randn(1, 1, 3 * HIDDEN)
    made.config |= said
    return made


def load_slots(path: str, mask_token: int | None = None) -> load.LoadedHead:
    return load.load_head(PEagleConfig(name="p_eagle", path=path, mask_token=mask_token))


@pytest.mark.parametrize("key", ["mask_token_id", "pard_token", "ptd_token_id"])
def test_the_mask_token_under_each_of_its_names(key: str, tmp_path: Path) -> None:
    head = load_slots(slotted(**{key: MASK}).write(tmp_path)).head
    assert head.config.mask_token == MASK
    assert head.mask_hidden is not None


def test_a_mask_token_that_the_folder_does_not_name(tmp_path: Path) -> None:
    path = slotted().write(tmp_path)
    with pytest.raises(UserError, match=r"give it as drafter\.mask_token"):
        load_slots(path)
    assert load_slots(path, MASK).config.mask_token == MASK
    with pytest.raises(UserError, match="none of its 60 tokens"):
        load_slots(path, VOCAB)


def test_a_head_of_one_kind_is_not_read_as_another(tmp_path: Path) -> None:
    parallel = slotted(mask_token_id=MASK).write(tmp_path / "parallel")
    plain = tiny().write(tmp_path / "plain")
    with pytest.raises(UserError, match=r"of the kind P-EAGLE.*drafter=p_eagle\."):
        load_head(parallel)
    with pytest.raises(UserError, match=r"of the kind EAGLE.*drafter=eagle3\."):
        load_slots(plain)


@pytest.mark.parametrize("layout", ["specforge", "speculators"])
def test_a_layout_loads_back_and_inspect_tells_it(layout: str, tmp_path: Path) -> None:
    first = load_slots(slotted(mask_token_id=MASK).write(tmp_path / "made")).head
    folder = str(save_head(first, tmp_path / "saved", layout))
    again = load_slots(folder)
    assert again.report.format == layout
    assert again.report.unexpected == again.report.not_understood == []
    assert replace(again.config, reading=first.config.reading) == first.config
    for name, tensor in first.state_dict().items():
        assert torch.equal(again.head.state_dict()[name], tensor), name
    document = inspect({"drafter.path": folder})
    assert document["kind"] == f"P-EAGLE, mask token {MASK}"
    render(document)


def test_a_layout_without_slots(tmp_path: Path) -> None:
    head = load_slots(slotted(mask_token_id=MASK).write(tmp_path / "made")).head
    with pytest.raises(UserError, match="cannot hold a P-EAGLE head"):
        save_head(head, tmp_path / "saved", "safeailab")


@torch.inference_mode()
def test_every_place_at_once_says_what_one_draft_says(tmp_path: Path) -> None:
    """Training and pre-flight over a text see the slots that drafting behind each place sees."""
    head = load_slots(slotted(mask_token_id=MASK).write(tmp_path)).head
    draw = torch.Generator().manual_seed(3)
    embeddings = torch.randn(VOCAB, HIDDEN, generator=draw)
    tokens = torch.randint(VOCAB, (1, 9), generator=draw)
    features = torch.randn(1, 8, 3 * HIDDEN, generator=draw)
    slot = head.mask_embeds(lambda ids: embeddings[ids])
    assert slot is not None
    assert head.mask_hidden is not None
    drafted = []
    for place in range(8):
        embeds = torch.cat((embeddings[tokens[:, 1 : place + 2]], slot, slot), dim=1)
        known = torch.cat((features[:, : place + 1], head.mask_hidden, head.mask_hidden), dim=1)
        states = head(embeds, head.fuse(known), torch.arange(place + 3)[None])
        drafted.append(states[:, -3:])
    twin = head.variant(head.config.reading)
    use_ttt_attention(twin)
    at_once = ttt_hidden(twin, embeddings[tokens], features, 3, slot)
    torch.testing.assert_close(torch.stack(at_once, dim=2), torch.stack(drafted, dim=1))
