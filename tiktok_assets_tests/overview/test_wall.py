"""Test the wall of creatives: which are on it, their rates, and which thumbnails the page holds."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from tiktok_assets.overview.wall import (
    MAX_CREATIVES,
    MAX_EMBEDDED_BYTES,
    Creative,
    CreativeTotals,
    embed_thumbnails,
)
from tiktok_assets.storage.parquet_store import Partition
from tiktok_assets_tests.overview.conftest import write_creatives
from tiktok_assets_tests.overview.sample_store import TODAY, YESTERDAY, ParsedPage, SampleStore


@pytest.fixture
def account(sample: SampleStore) -> SampleStore:
    """Fill a store with one account of one complete day."""
    sample.account("1", "USD")
    sample.day("1", "USD", YESTERDAY, spend=Decimal(1))
    return sample


def build_wall(sample: SampleStore) -> list[Creative]:
    """Build the page and return the creatives of its only currency."""
    (currency,) = sample.build()[0].currencies
    return list(currency.wall)


def test_rates_are_computed_from_sums(account: SampleStore) -> None:
    """Hook and hold rate of a week are quotients of its sums, and the latest 28 complete days can be opened."""
    write_creatives(account, "1", "USD")
    (first, *_) = build_wall(account)
    watched, before = (sum(200 + 10 * back for back in days) for days in (range(1, 8), range(8, 15)))
    assert first.week.spend == 700
    assert first.week.hook_rate == watched / 7000
    assert first.week.hold_rate == 700 / watched
    assert first.week_before.hook_rate == before / 7000
    assert [day for day, _ in first.days] == [TODAY - timedelta(back) for back in range(28, 0, -1)]


def test_creative_without_views_has_no_rate(account: SampleStore) -> None:
    """A creative whose report has no views, such as images, has no rate and no trend, not zeros."""
    row = {"advertiser_id": "1", "currency": "USD", "creative_id": "i", "date": YESTERDAY, "spend": Decimal(5)}
    account.write("creative_daily", Partition("1"), [row])
    (only,) = build_wall(account)
    assert (only.name, only.week.hook_rate, only.week.hold_rate) == ("i", None, None)


def test_wall_has_the_largest_spends_of_the_week(account: SampleStore) -> None:
    """The largest spends are on the wall, largest first, and no creative without spend in the week."""
    write_creatives(account, "1", "USD", count=MAX_CREATIVES + 5, days=7)
    spends = [one.week.spend for one in build_wall(account)]
    assert spends == [7 * (100 - number) for number in range(MAX_CREATIVES)]


def test_stored_thumbnails_are_in_the_page(account: SampleStore) -> None:
    """A stored thumbnail is embedded with a description; a creative without one has a tile with its name."""
    write_creatives(account, "1", "USD")
    page = ParsedPage(account.build()[1])
    images = page.all("img")
    assert [one["alt"] for one in images] == ["Cover of Unboxing 0 of 1", "Cover of Unboxing 2 of 1"]
    assert all(one["src"].startswith("data:image/webp;base64,") for one in images)
    tiles = [one for name, one in page.elements if one.get("class") == "tile"]
    assert len(tiles) == 1
    assert page.text.count("Unboxing 1 of 1") >= 2


def test_thumbnails_beyond_the_limit_are_left_out() -> None:
    """Thumbnails are embedded from the front of each wall until the page's limit; others are not in the page."""
    totals = CreativeTotals()
    walls = [
        [
            Creative("1", "One", currency, str(number), "", "", 1, totals, totals, [], f"{currency}{number}")
            for number in range(9)
        ]
        for currency in ("EUR", "USD")
    ]
    content = b"x" * (MAX_EMBEDDED_BYTES // 8)  # five of them fit as base64
    embedded = embed_thumbnails(walls, lambda _: content)
    same = [[replace(one, thumbnail="same") for one in wall] for wall in walls]
    assert [sum(bool(one.picture) for one in wall) for wall in embed_thumbnails(same, lambda _: content)] == [3, 2]
    assert [sum(bool(one.picture) for one in wall) for wall in embedded] == [3, 2]
    assert all(wall[0].picture and wall[1].picture for wall in embedded)
    assert sum(len(one.picture) for wall in embedded for one in wall) <= MAX_EMBEDDED_BYTES


def test_damaged_thumbnail_is_a_tile(account: SampleStore) -> None:
    """A thumbnail whose file is damaged or gone costs its picture only, and the page links to no other host."""
    write_creatives(account, "1", "USD")
    for path in (account.store.base / "thumbnails").rglob("*.webp"):
        path.write_bytes(b"damaged")
    page = ParsedPage(account.build()[1])
    assert page.all("img") == []
    links = [one["href"] for one in page.all("a") if one["href"].endswith(".webp")]
    assert len(links) == 2
    assert all(one.startswith("thumbnails/") for one in links)
