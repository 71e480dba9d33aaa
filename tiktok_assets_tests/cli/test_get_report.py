"""Laws of the days of `get report`: without --to they end yesterday by the account's own clock."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tiktok_assets.sandbox.http.rate_limits import Limits
from tiktok_assets.sandbox.running import RunningSandbox
from tiktok_assets.sandbox.world.model import WorldPlan
from tiktok_assets_tests.cli.conftest import CommandResult, build_variables, run_command

EVENING, MORNING = datetime(2026, 10, 7, 18, tzinfo=UTC), datetime(2026, 10, 7, 5, tzinfo=UTC)
PLAN = WorldPlan(anchor=EVENING, dense=True, days=12, advertisers=2, campaigns=1, ad_groups=1, ads=1)
ZONES = ("America/Los_Angeles", "Asia/Tokyo")


@pytest.fixture(scope="module")
def two_zones() -> Iterator[RunningSandbox]:
    """An account in Los Angeles and one in Tokyo, which deliver every day."""
    with RunningSandbox(PLAN, limits=Limits(qps=None, qpm=None)) as running:
        accounts = running.world.advertisers.values()
        assert tuple(one.account.display_timezone for one in accounts) == ZONES
        yield running


def report(sandbox: RunningSandbox, folder: Path, account: int, *options: str) -> CommandResult:
    """`get report` of one of the two."""
    owner = list(sandbox.world.advertisers)[account]
    asked = ("get", "report", "--advertiser", owner, "--level", "advertiser", "--json", *options)
    return run_command(*asked, variables=build_variables(sandbox), folder=folder)


def days(ran: CommandResult) -> list[str]:
    """The days of its rows."""
    assert ran.exit_code == 0, ran.err
    return [row["date"] for row in json.loads(ran.out)]


@pytest.mark.parametrize(
    ("now", "account", "yesterday"),
    [(EVENING, 0, 6), (EVENING, 1, 7), (MORNING, 0, 5), (MORNING, 1, 6)],
    ids=["evening, Los Angeles", "evening, Tokyo", "morning, Los Angeles", "morning, Tokyo"],
)
def test_days_end_yesterday_in_the_accounts_zone(
    two_zones: RunningSandbox, tmp_path: Path, now: datetime, account: int, yesterday: int
) -> None:
    """From a day on, and without any day named, the last one is the account's yesterday."""
    two_zones.clock.set(now)
    told = days(report(two_zones, tmp_path, account, "--from", "2026-10-03"))
    assert told == [f"2026-10-{day:02}" for day in range(3, yesterday + 1)]
    assert days(report(two_zones, tmp_path, account))[-1] == f"2026-10-{yesterday:02}"


def test_an_unfinished_day_is_read_when_it_is_named(two_zones: RunningSandbox, tmp_path: Path) -> None:
    """Today in Los Angeles is refused without --to, in one sentence with the fix, and read with it."""
    two_zones.clock.set(EVENING)
    refused = report(two_zones, tmp_path, 0, "--from", "2026-10-07")
    assert (refused.exit_code, refused.out) == (2, "")
    assert "add --to 2026-10-07 to read the unfinished day" in " ".join(refused.err.split())
    assert days(report(two_zones, tmp_path, 0, "--from", "2026-10-07", "--to", "2026-10-07")) == ["2026-10-07"]
    assert days(report(two_zones, tmp_path, 1, "--from", "2026-10-07")) == ["2026-10-07"]
