"""`python -m eagle_bench.proxy`: teacher-forced accuracy of a drafter beside its acceptance."""

from __future__ import annotations

import json
from pathlib import Path

from hydra.core.hydra_config import HydraConfig

from eagle_bench.config.pair import ProxyConfig
from eagle_bench.config.values import Output
from eagle_bench.errors import DOCUMENT
from eagle_bench.launch.command import hydra_command

PROXY_FILE = "proxy.json"
PAGE_FILE = "proxy.html"


def proxy(config: ProxyConfig) -> None:
    """Judge, generate, show, and leave `proxy.json` and `proxy.html`."""
    from eagle_bench.engines.session import SHARED
    from eagle_bench.measure.probe.proxy import run_proxy
    from eagle_bench.records.atomic import write_text
    from eagle_bench.results.progress import ProgressBar
    from eagle_bench.results.proxy_page import proxy_html, verdict
    from eagle_bench.results.tables.proxy import print_proxy

    folder = Path(HydraConfig.get().runtime.output_dir)
    bar = ProgressBar(quiet=config.output is Output.quiet)
    result = run_proxy(config, SHARED, bar)
    document = result.plain()
    write_text(folder / PROXY_FILE, json.dumps(document, indent=1))
    write_text(folder / PAGE_FILE, proxy_html(result))
    if config.output is Output.table:
        print_proxy(result)
    bar.say(verdict(result))
    bar.say(f"page: {folder / PAGE_FILE}")
    if config.output is Output.json:
        DOCUMENT.show({"folder": str(folder)} | document)


main = hydra_command(proxy, "proxy")

if __name__ == "__main__":
    main()
