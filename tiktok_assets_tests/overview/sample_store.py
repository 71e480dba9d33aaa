"""A store whose rows a test chooses, and a parser for the page built from it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import polars as pl

from tiktok_assets.ingest.partitions import FETCHED_AT_KEY, IS_COMPLETE_KEY
from tiktok_assets.overview.loader import SCHEMAS
from tiktok_assets.overview.models import Overview
from tiktok_assets.overview.page import build_overview
from tiktok_assets.storage.parquet_store import HiveStore, Partition

NOW = datetime(2026, 11, 22, 21, tzinfo=UTC)
TODAY = date(2026, 11, 22)
YESTERDAY = TODAY - timedelta(1)


@dataclass
class SampleStore:
    """Writes tables as a refresh does, with default values for columns that a test does not choose."""

    folder: Path
    advertisers: list[dict[str, Any]] = field(default_factory=list)

    @property
    def store(self) -> HiveStore:
        """The store that holds the tables."""
        return HiveStore(str(self.folder / "data"))

    def account(self, advertiser_id: str, currency: str, name: str = "SampleStore") -> None:
        """Add an account."""
        self.advertisers.append(
            {
                "advertiser_id": advertiser_id,
                "currency": currency,
                "name": name,
                "company": f"{name} GmbH",
                "display_timezone": "Europe/Berlin",
                "balance": Decimal(5),
                "is_granted": True,
            }
        )
        self.write("advertisers", Partition(), self.advertisers)

    def day(
        self,
        advertiser_id: str,
        currency: str,
        day: date,
        *,
        is_complete: bool = True,
        **metrics: Any,  # noqa: ANN401
    ) -> None:
        """Write a day of `advertiser_report_daily`; without metrics it is a day without delivery."""
        row = {"advertiser_id": advertiser_id, "currency": currency, "date": day, "is_complete": is_complete}
        metadata = {FETCHED_AT_KEY: NOW.isoformat(), IS_COMPLETE_KEY: str(is_complete).lower()}
        rows = [row | metrics] if metrics else []
        frame = pl.DataFrame(rows, SCHEMAS["daily"])
        self.store.write("advertiser_report_daily", Partition(advertiser_id, day), frame, metadata=metadata)

    def write(self, table: str, partition: Partition, rows: Iterable[dict[str, Any]]) -> None:
        """Write rows of any table."""
        self.store.write(table, partition, pl.DataFrame(list(rows), SCHEMAS[table]))

    def lifetime(self, advertiser_id: str, currency: str, entity: str, rows: Iterable[dict[str, Any]]) -> None:
        """Write a lifetime report; rows without ids get numbered ones."""
        numbered = [
            {
                "advertiser_id": advertiser_id,
                "currency": currency,
                f"{entity}_id": f"{advertiser_id}{number}",
                **row,
            }
            for number, row in enumerate(rows, 1)
        ]
        self.write(f"{entity}_report_lifetime", Partition(advertiser_id), numbered)

    def build(self) -> tuple[Overview, str]:
        """Build the page and return its contents and its HTML."""
        built = build_overview(self.store, self.folder / "state", NOW)
        return built.contents, Path(built.path).read_text(encoding="utf-8")


class ParsedPage(HTMLParser):
    """The elements, text, scripts and styles of an HTML document, in order.

    Attributes:
        elements: the name and the attributes of each element.
        scripts: the `type` and the text of each script.
        styles: the text of each style.
    """

    def __init__(self, document: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.scripts: list[tuple[str, str]] = []
        self.styles: list[str] = []
        self._text_parts: list[str] = []
        self._inside = ""
        self.feed(document)
        self.close()

    @property
    def text(self) -> str:
        """All text outside scripts and styles."""
        return "".join(self._text_parts)

    def all(self, name: str) -> Sequence[dict[str, str]]:
        """Return the attributes of every element with this name."""
        return [attributes for found, attributes in self.elements if found == name]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Record an element."""
        self.elements.append((tag, {name: value or "" for name, value in attrs}))
        if tag in {"script", "style"}:
            self._inside = tag

    def handle_endtag(self, tag: str) -> None:
        """Record the end of a script or a style."""
        if tag == self._inside:
            self._inside = ""

    def handle_data(self, data: str) -> None:
        """Record text as script, style or visible text."""
        if self._inside == "script":
            kind = self.elements[-1][1].get("type", "")
            self.scripts.append((kind, data))
        elif self._inside == "style":
            self.styles.append(data)
        else:
            self._text_parts.append(data)
