"""`python -m eagle_bench.distribution`: is sampled output distributed as the target says?

Exit code 0 when it is, 1 when it is not.
"""

from __future__ import annotations

import json
from pathlib import Path

from hydra.core.hydra_config import HydraConfig

from eagle_bench.config.pair import DistributionConfig
from eagle_bench.config.values import Output
from eagle_bench.errors import DOCUMENT, RunFailure
from eagle_bench.launch.command import hydra_command

DISTRIBUTION_FILE = "distribution.json"


def distribution(config: DistributionConfig) -> None:
    """Draw, compare, show, and leave `distribution.json`.

    Raises
    ------
    RunFailure
        The distribution differs.
    """
    from eagle_bench.engines.session import SHARED
    from eagle_bench.measure.probe.distribution import run_distribution
    from eagle_bench.records.atomic import write_text
    from eagle_bench.results.progress import ProgressBar
    from eagle_bench.results.tables.distribution import distribution_table
    from eagle_bench.results.tables.render import print_table

    folder = Path(HydraConfig.get().runtime.output_dir)
    bar = ProgressBar(quiet=config.output is Output.quiet)
    result = run_distribution(config, SHARED, bar)
    document = result.plain()
    write_text(folder / DISTRIBUTION_FILE, json.dumps(document, indent=1))
    if config.output is Output.table:
        print_table(distribution_table(result))
    bar.say(f"result: {folder / DISTRIBUTION_FILE}")
    if config.output is Output.json:
        DOCUMENT.show({"folder": str(folder)} | document)
    if not result.consistent:
        raise RunFailure(result.verdict())
    bar.say(result.verdict())


main = hydra_command(distribution, "distribution")

if __name__ == "__main__":
    main()
