"""Write docs/benchmarks.md: the newest figures, stored as JSON, as tables and a plot."""

import json
import os
import platform
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import altair as alt
import vl_convert

from tiktok_assets_tests.benchmarks.figure import Figure, number

DOCS = Path(__file__).parents[2] / "docs"
DATA, PAGE, PLOT = DOCS / "benchmarks.json", DOCS / "benchmarks.md", DOCS / "benchmarks.svg"

INTRODUCTION = """\
<!-- written by `make benchmark`; do not edit -->
# Benchmarks

What the program takes, against the sandbox on the same machine: whole processes, medians of several runs with the
least and the most in brackets. The last column is the part of the target used up: 1 or less meets it.

```sh
make benchmark
```

measures all of it anew and writes this page; `make benchmark ONLY=startup` one part.

![Each figure beside its target](benchmarks.svg)
"""

FOUND = """\
## What it is spent on

- **The API's limit** is the floor, and we sit on it: see *at ten requests a second* and *a morning refresh*.
- **Decoding** is bound by three passes over the text: one that proves the answer whole, one that cuts it into
  cells, one that writes Parquet. Rows that spell their fields in one order are read as a table with quotes for
  separators, several pages at a time (`plain_rows.py`); Polars' JSON parser, and the proof that nothing is lost,
  took most of the time before.
- **Dagster's import** is the larger part of a short `sync`; while it loads, the first reports are read already.
- **An event** costs more in SQLite than in Python. Dagster's own log makes an engine for every statement: each
  event is compiled to SQL anew, and SQLite folds its log into the file when the connection closes. Ours keeps one
  connection a file (`instance/event_log.py`), in the same files and tables. What a range run plans, an event a
  partition and table, is written in one transaction.
- **The end of a process** that has loaded Dagster takes long, because Python walks through all of its objects once
  more; `sync` does not.
- **Between two stages** of a refresh Dagster waits for its sensors and its queue; both look more often now
  (`dagster.yaml`).
- **A first look** at a partitions page has Dagster count every partition of the asset, for several queries at
  once. Each run has it count when it ends, while few have come; an instance from before that counts once, at the
  first look or the first refresh.
"""


def keep(name: str, figures: Sequence[Figure], order: Sequence[str]) -> None:
    """Replace the figures of one benchmark; the page has the benchmarks in the given order."""
    runs = kept()
    runs[name] = {
        "at": f"{datetime.now(UTC):%Y-%m-%d}",
        "on": machine(),
        "figures": [asdict(one) for one in figures],
    }
    runs = {one: runs[one] for one in order if one in runs}
    DATA.write_text(json.dumps(runs, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def kept() -> dict[str, Any]:
    """Read the last run of each benchmark: `at`, `on` and `figures`."""
    found: dict[str, Any] = json.loads(DATA.read_text(encoding="utf-8")) if DATA.exists() else {}
    return found


def machine() -> str:
    """Describe the machine."""
    gib = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30
    kind = f"{platform.system()} {platform.machine()}"
    return f"{os.cpu_count()} cores, {gib:.0f} GiB, {kind}, Python {platform.python_version()}"


def figures_of(run: dict[str, Any]) -> list[Figure]:
    """Return the figures of one benchmark."""
    return [Figure(**{**one, "spread": tuple(one["spread"]) if one["spread"] else None}) for one in run["figures"]]


def write() -> None:
    """Write page and plot."""
    PAGE.write_text(rendered(), encoding="utf-8")
    PLOT.write_text(plot(), encoding="utf-8")


def rendered() -> str:
    """Render the page as Markdown."""
    lines = [INTRODUCTION]
    runs = kept()
    for run in runs.values():
        figures = figures_of(run)
        for topic in dict.fromkeys(one.topic for one in figures):
            of_topic = [one for one in figures if one.topic == topic]
            lines += [f"## {topic}", "", f"{run['at']}, {run['on']}.", "", *_table(of_topic), ""]
    return "\n".join([*lines, FOUND]).rstrip() + "\n"


def _table(figures: Sequence[Figure]) -> Iterator[str]:
    yield "| what | measured | target | of the target |"
    yield "|---|---:|---:|---:|"
    for one in figures:
        spread = f" ({number(one.spread[0])} to {number(one.spread[1])})" if one.spread else ""
        bound = "at least" if one.at_least else "at most"
        target = f"{bound} {number(one.target)} {one.unit}" if one.target is not None else ""
        ratio = f"{one.ratio:.2f}" if one.ratio is not None else ""
        note = f"; {one.note}" if one.note else ""
        yield f"| {one.what}{note} | {number(one.value)} {one.unit}{spread} | {target} | {ratio} |"


def plot() -> str:
    """Render a bar for each figure with a target as SVG; the line at 1 is the target."""
    rows = [
        {"figure": f"{one.topic}: {one.what}", "part": one.ratio, "met": "met" if one.ratio <= 1 else "missed"}
        for run in kept().values()
        for one in figures_of(run)
        if one.ratio is not None
    ]
    bars = (
        alt.Chart(alt.InlineData(values=rows))
        .mark_bar()
        .encode(
            x=alt.X("part:Q", title="part of the target used up"),
            y=alt.Y("figure:N", sort=None, title=None, axis=alt.Axis(labelLimit=520)),
            color=alt.Color(
                "met:N",
                scale=alt.Scale(domain=["met", "missed"], range=["#2f7d6b", "#c2553b"]),
                legend=alt.Legend(title=None, orient="top"),
            ),
        )
    )
    rule = alt.Chart(alt.InlineData(values=[{"part": 1}])).mark_rule(strokeDash=[4, 3]).encode(x="part:Q")
    chart = (bars + rule).properties(width=360).configure_view(stroke=None).configure(background="white")
    return str(vl_convert.vegalite_to_svg(chart.to_json()))
