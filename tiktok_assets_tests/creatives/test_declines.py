"""Tests of recorded declines: each is told once, a recovery ends it, and the alert says what the numbers are."""

from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import sqlalchemy as sa

from tiktok_assets.creatives.declines import CreativeHistory, record_declines
from tiktok_assets.creatives.fatigue_alert import FATIGUE_KIND
from tiktok_assets.settings import Settings, load_settings
from tiktok_assets.storage.state import State, outbox
from tiktok_assets_tests.alerts.sample_alert import HOSTILE_NAME
from tiktok_assets_tests.creatives.noisy_days import LAST, OWNER, Loss, Noise, simulate_account

NOW = datetime(2026, 10, 7, 12, 30, tzinfo=UTC)
HALF = Loss(part=0.5, since=39, days=2)
"""Half of both rates is lost forty days before the last day."""

MORNINGS = 40


class Account:
    """An account of which each morning is recorded, one complete day after the other."""

    def __init__(self, state: State, settings: Settings, days: pl.DataFrame) -> None:
        self.state, self.settings, self.days = state, settings, days

    def record(self, days_before: int = 0) -> list[dict[str, Any]]:
        """Record the morning on which so many days before the last one was the last complete one."""
        last = LAST - timedelta(days_before)
        complete = [last - timedelta(back) for back in range(30)]
        names = {"worn": HOSTILE_NAME, "c0": "夏の動画 UGC 3 🎬"}
        history = CreativeHistory(OWNER, "Nordlicht & Söhne", self.days, names, complete)
        return record_declines(self.state, self.settings, history, NOW - timedelta(days_before)).to_dicts()

    def list_alerts(self) -> list[Any]:
        """Return the alerts that were written."""
        with self.state.transaction() as connection:
            return list(connection.execute(sa.select(outbox).order_by(outbox.c.created_at)))

    def restore(self, days_before: int, factor: float = 2) -> None:
        """Give the worn creative its rates back from a day on."""
        is_restored = (pl.col("creative_id") == "worn") & (pl.col("date") >= LAST - timedelta(days_before))
        self.days = self.days.with_columns(
            pl.when(is_restored).then((pl.col(name) * factor).cast(pl.Int64)).otherwise(pl.col(name)).alias(name)
            for name in ("clicks", "video_watched_2s")
        )


@pytest.fixture
def account(tmp_path: Path) -> Iterator[Account]:
    """Return an account with a creative that wears out and two that do not."""
    settings = load_settings(state_dir=tmp_path)
    days = simulate_account(4, 2, 100, Noise(impressions=20_000), {"worn": HALF})
    with closing(State(settings.state_database_url)) as state:
        yield Account(state, settings, days)


def test_decline_is_told_once(account: Account) -> None:
    """On every morning of a decline, and if one is repeated, there is one row of it and one alert."""
    for days_before in [*range(MORNINGS, 20, -1), 21, 25, 0]:
        rows = account.record(days_before)
    (row,), (alert,) = rows, account.list_alerts()
    assert (row["creative_id"], row["status"], row["is_told"]) == ("worn", "declining", True)
    assert alert.alert_id == row["decline_id"]
    assert alert.kind == FATIGUE_KIND
    assert abs((row["since"] - (LAST - timedelta(HALF.since))).days) <= 3
    assert row["found_on"] >= row["since"]
    assert row["recovered_on"] is None


@pytest.mark.slow
def test_second_decline_after_a_recovery_is_new(account: Account) -> None:
    """A creative that recovers is not declining; when its rates fall anew, that is told as another decline."""
    account.restore(30)
    account.restore(10, 0.4)
    statuses = [[row["status"] for row in account.record(days_before)] for days_before in range(MORNINGS, -1, -1)]
    distinct = [one for one, before in zip(statuses[1:], statuses, strict=False) if one != before]
    assert distinct == [["declining"], ["recovered"], ["declining", "recovered"]]
    rows = account.record()
    assert len({row["decline_id"] for row in rows}) == len(account.list_alerts()) == 2
    assert rows[0]["since"] > rows[1]["recovered_on"]


def test_old_decline_is_recorded_without_alert(account: Account) -> None:
    """A first refresh records a decline of last month, and sends nothing."""
    (row,) = account.record()
    assert (row["status"], row["is_told"]) == ("declining", False)
    assert account.list_alerts() == []


def test_creative_without_spend_has_stopped(account: Account) -> None:
    """A creative in decline that no longer spends is listed as stopped."""
    account.record(25)
    account.days = account.days.filter((pl.col("creative_id") != "worn") | (pl.col("date") < LAST - timedelta(8)))
    assert [row["status"] for row in account.record()] == ["stopped"]


@pytest.mark.parametrize("drop", ["0", "0.9"])
def test_setting_switches_the_alert_off(account: Account, drop: str) -> None:
    """With a drop of 0, or one that no creative reaches, nothing is recorded."""
    account.settings = load_settings(state_dir=account.settings.state_dir, fatigue_drop=drop)
    assert account.record(25) == account.list_alerts() == []


def test_week_must_be_complete(account: Account) -> None:
    """With fewer than seven complete days nothing is recorded."""
    complete = [LAST - timedelta(25 + back) for back in range(6)]
    history = CreativeHistory(OWNER, None, account.days, {}, complete)
    assert record_declines(account.state, account.settings, history, NOW).is_empty()


def test_alert_says_what_fell_and_what_spends_instead(account: Account) -> None:
    """The alert has both rates, their days, spend and replacement, with names as text in each format."""
    more = (pl.col("creative_id") == "c0") & (pl.col("date") > LAST - timedelta(HALF.since))
    spend = pl.when(more).then(pl.col("spend") * 3).otherwise(pl.col("spend"))
    account.days = account.days.with_columns(spend=spend.cast(account.days.schema["spend"]))
    (row,) = account.record(25)
    (alert,) = account.list_alerts()
    text, html, title = alert.message["text"], alert.message["html"], alert.message["title"]
    assert title.startswith("The hook rate of a creative has fallen: ")
    for part in (
        f"from {row['best_rate']:.2f}% in its best seven days",
        f"to {row['recent_rate']:.2f}% in the last seven",
        f"fell by {row['drop']:.0%}",
        f"since about {row['since'].day} {row['since']:%B %Y}",
        f"to {row['recent_spend'].quantize(Decimal('0.01')):,} USD",
        "In its place spends 夏の動画 UGC 3 🎬",
        "Nordlicht & Söhne",
        "Each creative is reported once per decline.",
    ):
        assert part in text
    assert row["replacement_id"] == "c0"
    assert row["replacement_spend"] > row["replacement_spend_before"]
    assert "<script>" not in html
    assert alert.message["facts"]["advertiser_id"] == OWNER
    assert f"fell by {row['drop']:.0%}" in alert.message["picture"]["alt"]
    folder = account.settings.state_dir / "alerts"
    assert (folder / f"{alert.alert_id}.png").read_bytes().startswith(b"\x89PNG")
