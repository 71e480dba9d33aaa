"""Measure how long the overview page of ninety accounts and three years takes, and how large it is."""

import io
import os
import random
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
from PIL import Image

from tiktok_assets.creatives.columns import CREATIVE_DAILY, CREATIVE_DAILY_SCHEMA, CREATIVES, CREATIVES_SCHEMA
from tiktok_assets.ingest.partitions import IS_COMPLETE_KEY, fetched_at_metadata
from tiktok_assets.overview.loader import SCHEMAS
from tiktok_assets.storage.parquet_store import HiveStore, Partition
from tiktok_assets.storage.thumbnails import ThumbnailStore
from tiktok_assets_tests.benchmarks.figure import Figure
from tiktok_assets_tests.benchmarks.many_seed import OWNERS
from tiktok_assets_tests.benchmarks.programs import figure_of, measure

TOPIC = "Overview page of ninety accounts, three years"
DAYS = 1095
WRITTEN_DAYS = 70
"""The page reads the newest days; the files of older days are links to one without rows."""
CAMPAIGNS, ADS, CREATIVES_OF_ACCOUNT = 12, 60, 40
CURRENCIES = ("USD", "EUR", "GBP")
RUNS = 5
SEED = 7


def figures() -> Iterator[Figure]:
    """Measure the command and the build inside a process that has imported everything, as Dagster's runs have."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_store(HiveStore(str(folder / "data")), datetime.now(UTC))
        variables = {
            "TIKTOK_DATA_DIR": str(folder / "data"),
            "TIKTOK_STATE_DIR": str(folder / "state"),
            "TIKTOK_BASE_URL": "http://127.0.0.1:9",
            "TIKTOK_ACCESS_TOKEN": "none",
        }
        command = [sys.executable, "-m", "tiktok_assets", "overview"]
        runs = [measure(command, folder, variables) for _ in range(RUNS)]
        page = folder / "data" / "account_overview.html"
        note = f"{len(OWNERS)} accounts x {DAYS} days, {ADS} ads and {CREATIVES_OF_ACCOUNT} creatives each"
        yield Figure(TOPIC, "size", page.stat().st_size / 1e6, "MB", target=8, note=note)
        builds = [
            float(measure([sys.executable, "-m", __name__, str(folder)], folder, variables).printed)
            for _ in range(RUNS)
        ]
        yield figure_of(TOPIC, "build", builds, "s", target=2, note="without the start of the process")
        yield figure_of(TOPIC, "the command `overview`", [run.seconds for run in runs], "s")
        yield Figure(TOPIC, "peak memory", max(run.megabytes for run in runs), "MB")


def write_store(store: HiveStore, now: datetime) -> None:
    """Write accounts, campaigns, ads, creatives with thumbnails, and reports, with fixed random figures."""
    chance = random.Random(SEED)  # noqa: S311 - figures of a benchmark
    accounts = [
        {
            "advertiser_id": owner,
            "currency": CURRENCIES[number % len(CURRENCIES)],
            "name": f"Brand number {number} | international",
            "status": "STATUS_ENABLE",
            "timezone": "America/New_York",
            "is_granted": True,
        }
        for number, owner in enumerate(OWNERS)
    ]
    _write(store, "advertisers", Partition(), accounts)
    thumbnails = ThumbnailStore(store.base)
    hashes = [thumbnails.write(_draw_photo(chance))[0] for _ in range(400)]
    for account in accounts:
        _write_account(store, account, now, chance, hashes)


def _write_account(
    store: HiveStore, account: dict[str, Any], now: datetime, chance: random.Random, hashes: list[str]
) -> None:
    owner, newest = account["advertiser_id"], now.date() - timedelta(1)
    base = {"advertiser_id": owner, "currency": account["currency"]}
    only = Partition(owner)
    campaigns = [
        {**base, "campaign_id": f"{owner}{one:03}", "campaign_name": f"Prospecting {one} | Always on"}
        for one in range(CAMPAIGNS)
    ]
    settings = {"operation_status": "ENABLE", "budget_mode": "BUDGET_MODE_DAY", "budget": Decimal(500)}
    _write(store, "campaigns", only, [{**one, **settings} for one in campaigns])
    ads = [{**base, "ad_id": f"{owner}{one:05}", "ad_name": f"Founder story | v{one}"} for one in range(ADS)]
    _write(store, "ads", only, ads)
    lifetime = [{**one, **_figures(chance, 5000), "fetched_at": now} for one in campaigns]
    _write(store, "campaign_report_lifetime", only, lifetime)
    _write(
        store,
        "ad_report_lifetime",
        only,
        [{**one, **_figures(chance, 900), "campaign_name": "Prospecting", "fetched_at": now} for one in ads],
    )
    first_ad = {"ad_id": ads[0]["ad_id"], "ad_name": ads[0]["ad_name"]}
    leader = {**first_ad, "spend": Decimal(800), "share": 0.4, "lead": 0.5}
    leaders = [{**one, **leader} for one in campaigns]
    _write(store, "top_spenders", only, leaders)
    notes = {**fetched_at_metadata(now), IS_COMPLETE_KEY: "true"}
    for table, rows in (("advertiser_report_daily", [base]), ("campaign_report_daily", campaigns)):
        for back in range(WRITTEN_DAYS):
            day = newest - timedelta(back)
            filled = [{**one, **_figures(chance, 300), "date": day, "is_complete": True} for one in rows]
            schema = SCHEMAS["daily" if table == "advertiser_report_daily" else table]
            store.write(table, Partition(owner, day), pl.DataFrame(filled, schema), metadata=notes)
        _link_older_days(store, table, owner, newest)
    names = [f"{owner}c{one}" for one in range(CREATIVES_OF_ACCOUNT)]
    described = [
        {**base, "creative_id": one, "creative_kind": "video", "creative_name": f"Unboxing | {one}", "ads": 2}
        | {"thumbnail": chance.choice(hashes)}
        for one in names
    ]
    store.write(CREATIVES, only, pl.DataFrame(described, CREATIVES_SCHEMA))
    days = pl.DataFrame(
        [{**base, "creative_id": one, "creative_kind": "video", **_figures(chance, 30)} for one in names],
        CREATIVE_DAILY_SCHEMA,
    ).drop("date")
    dates = pl.DataFrame({"date": [newest - timedelta(back) for back in range(DAYS)]})
    store.write(CREATIVE_DAILY, only, days.join(dates, how="cross").select(CREATIVE_DAILY_SCHEMA.names()))


def _link_older_days(store: HiveStore, table: str, owner: str, newest: date) -> None:
    nothing = SCHEMAS["campaign_report_daily"].to_frame()
    first = Path(store.write(table, Partition(owner, newest - timedelta(WRITTEN_DAYS)), nothing).path)
    for back in range(WRITTEN_DAYS + 1, DAYS):
        folder = first.parent.parent / f"date={newest - timedelta(back)}"
        folder.mkdir()
        os.link(first, folder / first.name)


def _write(store: HiveStore, table: str, partition: Partition, rows: list[dict[str, Any]]) -> None:
    store.write(table, partition, pl.DataFrame(rows, SCHEMAS[table]))


def _figures(chance: random.Random, spend: int) -> dict[str, Any]:
    impressions = chance.randrange(5_000, 90_000)
    return {
        "spend": Decimal(chance.randrange(spend * 40, spend * 100)) / 100,
        "impressions": impressions,
        "clicks": impressions // chance.randrange(60, 140),
        "conversion": chance.randrange(30),
        "total_complete_payment_value": Decimal(chance.randrange(spend * 200)) / 100,
        "video_watched_2s": impressions // 3,
        "video_watched_6s": impressions // 9,
    }


def _draw_photo(chance: random.Random) -> bytes:
    """Draw a picture that compresses about as well as a photograph, which takes 10 to 20 kB."""
    small = Image.frombytes("RGB", (36, 64), chance.randbytes(36 * 64 * 3))
    content = io.BytesIO()
    small.resize((320, 568), Image.Resampling.BICUBIC).save(content, "WEBP", quality=50)
    return content.getvalue()


def main() -> None:
    """Print how many seconds the second build of the page in a process takes."""
    from tiktok_assets.overview.page import build_overview  # noqa: PLC0415 - as the asset does it

    folder = Path(sys.argv[1])
    seconds = 0.0
    for _ in range(2):
        began = time.monotonic()
        build_overview(HiveStore(str(folder / "data")), folder / "state", datetime.now(UTC))
        seconds = time.monotonic() - began
    print(seconds)  # noqa: T201 - a benchmark prints


if __name__ == "__main__":
    main()
