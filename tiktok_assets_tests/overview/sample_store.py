"""A store with a few accounts whose numbers a test chooses, and a page as a reader of HTML sees it."""

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
from tiktok_assets.storage.hive_store import HiveStore, Partition

NOW = datetime(2026, 11, 22, 21, tzinfo=UTC)
TODAY = date(2026, 11, 22)
YESTERDAY = TODAY - timedelta(1)


@dataclass
class Shop:
    """Writes tables as a refresh leaves them; what is not said is what an ordinary account has."""

    folder: Path
    advertisers: list[dict[str, Any]] = field(default_factory=list)

    @property
    def store(self) -> HiveStore:
        """The tables."""
        return HiveStore(str(self.folder / "data"))

    def account(self, advertiser_id: str, currency: str, name: str = "Shop") -> None:
        """One more account."""
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
        """One day of `advertiser_report_daily`; without metrics a day without delivery."""
        row = {"advertiser_id": advertiser_id, "currency": currency, "date": day, "is_complete": is_complete}
        notes = {FETCHED_AT_KEY: NOW.isoformat(), IS_COMPLETE_KEY: str(is_complete).lower()}
        rows = [row | metrics] if metrics else []
        frame = pl.DataFrame(rows, SCHEMAS["daily"])
        self.store.write("advertiser_report_daily", Partition(advertiser_id, day), frame, metadata=notes)

    def write(self, table: str, partition: Partition, rows: Iterable[dict[str, Any]]) -> None:
        """Rows of any table."""
        self.store.write(table, partition, pl.DataFrame(list(rows), SCHEMAS[table]))

    def lifetime(self, advertiser_id: str, currency: str, what: str, rows: Iterable[dict[str, Any]]) -> None:
        """A lifetime report, ids counted from one where none is given."""
        own = [
            {"advertiser_id": advertiser_id, "currency": currency, f"{what}_id": f"{advertiser_id}{number}", **row}
            for number, row in enumerate(rows, 1)
        ]
        self.write(f"{what}_report_lifetime", Partition(advertiser_id), own)

    def build(self) -> tuple[Overview, str]:
        """What the page says, and the page."""
        built = build_overview(self.store, self.folder / "state", NOW)
        return built.contents, Path(built.path).read_text(encoding="utf-8")


class Page(HTMLParser):
    """Every element with its attributes and the text inside, in order.

    Attributes:
        elements: name and attributes of each.
        text: all text outside scripts and styles.
        scripts: the text of each script, by its `type`.
    """

    def __init__(self, document: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.scripts: list[tuple[str, str]] = []
        self.styles: list[str] = []
        self._parts: list[str] = []
        self._inside = ""
        self.feed(document)
        self.close()

    @property
    def text(self) -> str:
        """What a person reads."""
        return "".join(self._parts)

    def all(self, name: str) -> Sequence[dict[str, str]]:
        """The attributes of every element of one name."""
        return [attributes for found, attributes in self.elements if found == name]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note an element."""
        self.elements.append((tag, {name: value or "" for name, value in attrs}))
        if tag in {"script", "style"}:
            self._inside = tag

    def handle_endtag(self, tag: str) -> None:
        """Leave a script or a style."""
        if tag == self._inside:
            self._inside = ""

    def handle_data(self, data: str) -> None:
        """Keep text where it belongs."""
        if self._inside == "script":
            kind = self.elements[-1][1].get("type", "")
            self.scripts.append((kind, data))
        elif self._inside == "style":
            self.styles.append(data)
        else:
            self._parts.append(data)
