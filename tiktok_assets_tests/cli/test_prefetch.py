"""Laws of asking ahead: what is asked while Dagster loads is asked once, and only where it will be wanted."""

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
from tiktok_assets_tests.cli.conftest import Run

TABLES = "advertisers,campaigns,ad_groups,ads,ad_report_daily"
YESTERDAY = datetime.now(UTC).date() - timedelta(days=1)
FIRST = YESTERDAY - timedelta(days=39)


def asked(sandbox: RunningSandbox) -> list[dict[str, object]]:
    """The API requests so far."""
    requests: list[dict[str, object]] = httpx.get(f"{sandbox.base_url}/sandbox/requests").json()
    return requests


def test_what_was_asked_ahead_is_not_asked_again(run: Run, sandbox: RunningSandbox) -> None:
    """A sync of named accounts and days sends what `plan` says, and stores the same rows as any other."""
    owner = next(one for one in sandbox.world.advertisers.values() if one.granted and one.campaigns).id
    variables = {"TIKTOK_ADVERTISER_IDS": owner}
    days = ["--from", str(FIRST), "--to", str(YESTERDAY), "--select", TABLES]
    plan = run("plan", *days, "--json", variables=variables)
    before = len(asked(sandbox))
    ran = run("sync", *days, "--json", variables=variables)
    told = json.loads(ran.out)

    assert ran.exit_code == 0, ran.err
    assert told["requests"] == json.loads(plan.out)["requests"] == len(asked(sandbox)) - before
    assert told["partitions"]["ad_report_daily"] == 40
    reports = [one for one in asked(sandbox)[before:] if "report/integrated" in str(one["path"])]
    assert len({json.dumps(one["query"], sort_keys=True) for one in reports}) == len(reports)


@pytest.mark.parametrize(
    "wrong",
    [
        ["--from", "2999-01-01", "--to", "2999-01-02"],
        ["--from", str(YESTERDAY), "--to", str(FIRST)],
        ["--from", str(FIRST), "--to", str(YESTERDAY), "--select", "ad_report_dayly"],
        ["--from", str(FIRST), "--to", str(YESTERDAY), "--advertiser", "1"],
    ],
)
def test_a_call_that_is_refused_asks_nothing(run: Run, sandbox: RunningSandbox, wrong: list[str]) -> None:
    """A wrong day, table or account is told before anything is sent."""
    owner = next(one for one in sandbox.world.advertisers.values() if one.granted).id
    before = len(asked(sandbox))
    ran = run("sync", *wrong, variables={"TIKTOK_ADVERTISER_IDS": owner})
    assert ran.exit_code == 2, ran.err
    assert len(asked(sandbox)) == before


def test_a_session_that_asked_ahead_for_nobody_ends(sandbox: RunningSandbox, tmp_path: Path) -> None:
    """What nobody came for was begun, and is dropped with the session."""
    owner = next(one for one in sandbox.world.advertisers.values() if one.granted and one.campaigns).id
    settings = load_settings(
        base_url=sandbox.base_url,
        access_token=sandbox.token,
        advertiser_ids=[owner],
        data_dir=str(tmp_path / "data"),
        state_dir=tmp_path / "state",
        start_date=FIRST,
    )
    others = set(threading.enumerate())
    with open_session(settings) as session:
        prefetch_daily_report(session, (), str(FIRST), str(YESTERDAY), None)
        begun = [one for one in set(threading.enumerate()) - others if one.name.startswith("listing")]
        assert begun
    for thread in begun:
        thread.join(30)
        assert not thread.is_alive()
