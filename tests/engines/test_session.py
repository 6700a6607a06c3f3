"""What jobs of a sweep share, and what they must not."""

from __future__ import annotations

from engine_run import engine_config

from eagle_bench.config.decoding import ChainConfig
from eagle_bench.config.drafter import PEagleConfig
from eagle_bench.engines.session import Loader


def test_a_head_that_drafts_at_once_is_built_for_each_depth() -> None:
    loader = Loader()
    reaches = []
    for depth in (2, 4, 4):
        chain = ChainConfig(name="chain", draft_len=depth)
        head = PEagleConfig(name="embedded_p_eagle")
        drafter = loader.session(engine_config(drafter=head, decoding=chain)).drafter.drafter
        drafter.start(1, 16)
        reaches.append(drafter.reach())
    assert reaches == [2, 4, 4]
    assert loader.loads == 3
