"""Run every benchmark, or those named; `--page` also writes docs/benchmarks.md.

A benchmark is a module with `figures()`, which measures and yields what it found.
"""

import argparse
from collections.abc import Callable, Iterator

from tiktok_assets_tests.benchmarks import (
    backfill,
    compaction,
    decoding,
    events,
    fatigue,
    growth,
    many_partitions,
    morning,
    object_store,
    overview_page,
    page,
    peers,
    startup,
    warehouse,
    workload_a,
)
from tiktok_assets_tests.benchmarks.figure import Figure

BENCHMARKS: dict[str, Callable[[], Iterator[Figure]]] = {
    "startup": startup.figures,
    "decoding": decoding.figures,
    "workload_a": workload_a.figures,
    "peers": peers.figures,
    "events": events.figures,
    "morning": morning.figures,
    "many_partitions": many_partitions.figures,
    "overview_page": overview_page.figures,
    "warehouse": warehouse.figures,
    "backfill": backfill.figures,
    "object_store": object_store.figures,
    "compaction": compaction.figures,
    "fatigue": fatigue.figures,
    "growth": growth.figures,
}


def main() -> None:
    """Run the benchmarks one after the other and print each figure at once."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("names", nargs="*", help=f"of {', '.join(BENCHMARKS)}; all by default")
    options.add_argument("--page", action="store_true", help="keep the figures, and write docs/benchmarks.md")
    given = options.parse_args()
    if strangers := set(given.names) - BENCHMARKS.keys():
        options.error(f"no benchmark is called {', '.join(sorted(strangers))}")
    for name in given.names or BENCHMARKS:
        found = []
        for figure in BENCHMARKS[name]():
            print(f"{figure.topic}: {figure}", flush=True)  # noqa: T201 - a benchmark prints
            found.append(figure)
        if given.page:
            page.keep(name, found, list(BENCHMARKS))
    if given.page:
        page.write()


if __name__ == "__main__":
    main()
