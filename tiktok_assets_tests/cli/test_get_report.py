"""Tests of the days of `get report`, which end yesterday in the account's time zone unless --to is given."""

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
    """A sandbox with an account in Los Angeles and one in Tokyo, which deliver every day."""
    with RunningSandbox(PLAN, limits=Limits(qps=None, qpm=None)) as running:
        accounts = running.world.advertisers.values()
        assert tuple(one.account.display_timezone for one in accounts) == ZONES
        yield running


def run_report(sandbox: RunningSandbox, folder: Path, account: int, *options: str) -> CommandResult:
    """Run `get report` for one of the two accounts."""
    owner = list(sandbox.world.advertisers)[account]
    command = ("get", "report", "--advertiser", owner, "--level", "advertiser", "--json", *options)
    return run_command(*command, variables=build_variables(sandbox), folder=folder)


def list_days(result: CommandResult) -> list[str]:
    """Return the days of the rows of a report."""
    assert result.exit_code == 0, result.err
    return [row["date"] for row in json.loads(result.out)]


@pytest.mark.parametrize(
    ("now", "account", "yesterday"),
    [(EVENING, 0, 6), (EVENING, 1, 7), (MORNING, 0, 5), (MORNING, 1, 6)],
    ids=["evening, Los Angeles", "evening, Tokyo", "morning, Los Angeles", "morning, Tokyo"],
)
def test_days_end_yesterday_in_the_accounts_time_zone(
    two_zones: RunningSandbox, tmp_path: Path, now: datetime, account: int, yesterday: int
) -> None:
    """With --from alone, and without any day, the last day is yesterday in the account's time zone."""
    two_zones.clock.set(now)
    days = list_days(run_report(two_zones, tmp_path, account, "--from", "2026-10-03"))
    assert days == [f"2026-10-{day:02}" for day in range(3, yesterday + 1)]
    assert list_days(run_report(two_zones, tmp_path, account))[-1] == f"2026-10-{yesterday:02}"


def test_unfinished_day_needs_to(two_zones: RunningSandbox, tmp_path: Path) -> None:
    """The current day is refused without --to, with a message that has the fix, and read with it."""
    two_zones.clock.set(EVENING)
    refused = run_report(two_zones, tmp_path, 0, "--from", "2026-10-07")
    assert (refused.exit_code, refused.out) == (2, "")
    assert "add --to 2026-10-07 to read the unfinished day" in " ".join(refused.err.split())
    assert list_days(run_report(two_zones, tmp_path, 0, "--from", "2026-10-07", "--to", "2026-10-07")) == [
        "2026-10-07"
    ]
    assert list_days(run_report(two_zones, tmp_path, 1, "--from", "2026-10-07")) == ["2026-10-07"]
