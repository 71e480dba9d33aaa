"""Test that `doctor` says what spend the tables do not hold."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import httpx
import pytest

from tiktok_assets.sandbox.http.rate_limits import Limits
from tiktok_assets.sandbox.running import RunningSandbox
from tiktok_assets.sandbox.world.model import WorldPlan
from tiktok_assets_tests.cli.conftest import build_variables, run_command


@pytest.fixture(scope="module", params=[True, False], ids=["with a shop", "without a shop"])
def running(request: pytest.FixtureRequest) -> Iterator[RunningSandbox]:
    """Run one account, with or without a TikTok Shop."""
    plan = WorldPlan(dense=True, advertisers=1, days=40, campaigns=1, ad_groups=1, ads=1, gmv_max=request.param)
    now = datetime.now(UTC)
    with RunningSandbox(plan, now=now, clock_runs=True, limits=Limits(qps=None, qpm=None)) as sandbox:
        yield sandbox


@pytest.fixture
def sandbox(running: RunningSandbox) -> Iterator[RunningSandbox]:
    """Return the sandbox with all permissions."""
    running.state.requests.clear()
    yield running
    running.state.switches.no_scope_for = []


def check_spend(sandbox: RunningSandbox, folder: Path, **variables: str) -> tuple[str, str]:
    """Run `doctor`; return the state of the check of the spend, and its fault with the fix."""
    result = run_command("doctor", "--json", variables={**build_variables(sandbox), **variables}, folder=folder)
    (row,) = [row for row in json.loads(result.out) if row["check"] == "spend"]
    return row["state"], f"{row['fault']} {row['mend']}".strip()


def has_shop(sandbox: RunningSandbox) -> bool:
    """Return whether the account has a shop."""
    return any(one.shops for one in sandbox.world.advertisers.values())


def read_amount(sandbox: RunningSandbox) -> str:
    """Request the spend that the last fault was about, with the parameters that were sent."""
    (sent,) = [one["query"] for one in sandbox.state.requests if one["query"].get("report_type") == "TT_SHOP"]
    url = f"{sandbox.base_url}/open_api/v1.3/report/integrated/get/"
    response = httpx.get(url, params=sent, headers={"Access-Token": sandbox.token}).json()
    spend = Decimal(response["data"]["list"][0]["metrics"]["spend"])
    assert spend > 0
    return f"{spend:,.2f} USD"


def test_a_permission_that_is_missing_is_said_in_money(sandbox: RunningSandbox, tmp_path: Path) -> None:
    """Without the permission `doctor` states what GMV Max spent and the fix; without such spend all is ok."""
    sandbox.state.switches.no_scope_for = ["gmv_max"]
    state, fault = check_spend(sandbox, tmp_path)
    if not has_shop(sandbox):
        assert (state, fault) == ("ok", "")
        return
    assert state == "fault"
    assert read_amount(sandbox) in fault
    assert "Select GMV Max on the app's page" in fault


def test_a_table_that_is_not_chosen_is_said_in_money(sandbox: RunningSandbox, tmp_path: Path) -> None:
    """If TIKTOK_REPORTS leaves out the report of GMV Max, `doctor` states what it spent and what to add."""
    state, fault = check_spend(sandbox, tmp_path, TIKTOK_REPORTS="campaign_report_daily")
    if not has_shop(sandbox):
        assert (state, fault) == ("ok", "")
        return
    assert state == "fault"
    assert read_amount(sandbox) in fault
    assert "Add gmv_max_report_daily to TIKTOK_REPORTS" in fault


def test_nothing_is_said_if_the_tables_hold_all_spend(sandbox: RunningSandbox, tmp_path: Path) -> None:
    """With permission and table the check is ok, after one request for the shops."""
    assert check_spend(sandbox, tmp_path) == ("ok", "")
    assert sum("gmv_max" in one["path"] for one in sandbox.state.requests) == 1
