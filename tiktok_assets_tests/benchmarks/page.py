"""The page of the benchmarks: the figures of the newest runs, kept as data, and the table and plot made of them."""

import json
import os
import platform
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tiktok_assets_tests.benchmarks.figure import Figure, number

DOCS = Path(__file__).parents[2] / "docs"
DATA = DOCS / "benchmarks.json"
PAGE = DOCS / "benchmarks.md"


def keep(name: str, figures: Sequence[Figure]) -> None:
    """Replace the figures of one benchmark."""
    runs = kept()
    runs[name] = {
        "at": f"{datetime.now(UTC):%Y-%m-%d}",
        "on": machine(),
        "figures": [asdict(one) for one in figures],
    }
    DATA.write_text(json.dumps(runs, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def kept() -> dict[str, Any]:
    """What each benchmark found when it last ran: `at`, `on` and `figures`."""
    return json.loads(DATA.read_text(encoding="utf-8")) if DATA.exists() else {}


def machine() -> str:
    """The machine in a few words."""
    gib = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30
    return f"{os.cpu_count()} cores, {gib:.0f} GiB, {platform.system()} {platform.machine()}, Python {platform.python_version()}"


def write() -> None:
    """Write page and plot anew."""
    PAGE.write_text(rendered(), encoding="utf-8")


def rendered() -> str:
    """The page as Markdown."""
    lines = ["# Benchmarks", ""]
    for name, run in kept().items():
        lines.append(f"{name} {run}")
    return "\n".join(lines) + "\n"


__all__ = ["number"]
