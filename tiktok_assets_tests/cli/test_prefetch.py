"""Tests of the daily report that `sync` requests while Dagster loads."""

import json
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from tiktok_assets.cli.session import prefetch_daily_report
from tiktok_assets.sandbox.running import RunningSandbox
from tiktok_assets.session import open_session
from tiktok_assets.settings import load_settings
from tiktok_assets_tests.cli.conftest import RunCommand

TABLES = "advertisers,campaigns,ad_groups,ads,ad_report_daily"
YESTERDAY = datetime.now(UTC).date() - timedelta(days=1)
FIRST = YESTERDAY - timedelta(days=39)


def read_requests(sandbox: RunningSandbox) -> list[dict[str, object]]:
    """Return the API requests that the sandbox has received."""
    requests: list[dict[str, object]] = httpx.get(f"{sandbox.base_url}/sandbox/requests").json()
    return requests


@pytest.mark.slow
def test_prefetched_report_is_not_requested_again(run: RunCommand, sandbox: RunningSandbox) -> None:
    """A sync with given accounts and days sends as many requests as `plan` counts, none of them twice."""
    owner = next(one for one in sandbox.world.advertisers.values() if one.granted and one.campaigns).id
    variables = {"TIKTOK_ADVERTISER_IDS": owner}
    days = ["--from", str(FIRST), "--to", str(YESTERDAY), "--select", TABLES]
    plan = run("plan", *days, "--json", variables=variables)
    before = len(read_requests(sandbox))
    synced = run("sync", *days, "--json", variables=variables)
    result = json.loads(synced.out)

    assert synced.exit_code == 0, synced.err
    assert result["requests"] == json.loads(plan.out)["requests"] == len(read_requests(sandbox)) - before
    assert result["partitions"]["ad_report_daily"] == 40
    reports = [one for one in read_requests(sandbox)[before:] if "report/integrated" in str(one["path"])]
    assert len({json.dumps(one["query"], sort_keys=True) for one in reports}) == len(reports)


@pytest.mark.parametrize(
    "options",
    [
        ["--from", "2999-01-01", "--to", "2999-01-02"],
        ["--from", str(YESTERDAY), "--to", str(FIRST)],
        ["--from", str(FIRST), "--to", str(YESTERDAY), "--select", "ad_report_dayly"],
        ["--from", str(FIRST), "--to", str(YESTERDAY), "--advertiser", "1"],
    ],
)
def test_invalid_options_send_no_request(run: RunCommand, sandbox: RunningSandbox, options: list[str]) -> None:
    """An invalid day, table or account is reported before any request is sent."""
    owner = next(one for one in sandbox.world.advertisers.values() if one.granted).id
    before = len(read_requests(sandbox))
    result = run("sync", *options, variables={"TIKTOK_ADVERTISER_IDS": owner})
    assert result.exit_code == 2, result.err
    assert len(read_requests(sandbox)) == before


def test_unused_prefetch_ends_with_the_session(sandbox: RunningSandbox, tmp_path: Path) -> None:
    """A prefetch whose rows are not read is stopped when the session closes."""
    owner = next(one for one in sandbox.world.advertisers.values() if one.granted and one.campaigns).id
    settings = load_settings(
        base_url=sandbox.base_url,
        access_token=sandbox.token,
        advertiser_ids=[owner],
        data_dir=str(tmp_path / "data"),
        state_dir=tmp_path / "state",
        start_date=FIRST,
    )
    other_threads = set(threading.enumerate())
    with open_session(settings) as session:
        prefetch_daily_report(session, (), str(FIRST), str(YESTERDAY), None)
        started = set(threading.enumerate()) - other_threads
        prefetches = [thread for thread in started if thread.name.startswith("query")]
        assert prefetches
    for thread in prefetches:
        thread.join(30)
        assert not thread.is_alive()
