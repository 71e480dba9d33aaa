"""Laws of what an account may hold at most, and of each step of the penalty for time-outs."""

import pytest

from tiktok_assets.sandbox.http.context import Switches
from tiktok_assets.sandbox.http.errors import ApiError
from tiktok_assets.sandbox.http.rate_limits import SLOW_SECONDS, SLOWDOWN_STEPS, Limits, Penalties
from tiktok_assets.sandbox.running import RunningSandbox
from tiktok_assets.sandbox.world.model import WorldPlan
from tiktok_assets_tests.sandbox.conftest import Api, client, writer
from tiktok_assets_tests.sandbox.factory import EntityFactory

MAX_ENTITIES = 999
FULL_MESSAGES = {
    what: WorldPlan(
        dense=True, advertisers=1, days=1, campaigns=campaigns, ad_groups=MAX_ENTITIES - 1, ads=MAX_ENTITIES - 1
    )
    for what, campaigns in (("campaigns", MAX_ENTITIES - 1), ("ad groups", 1))
}
"""Accounts with room for one more."""


def assert_full(drafts: EntityFactory, what: str) -> None:
    """One more is made, the next refused by its number; once one is deleted, there is room again."""
    listed = drafts.api.get("campaign/get", advertiser_id=drafts.account, page_size=1)["data"]["list"]
    holder = listed[0]["campaign_id"]
    if what == "campaigns":
        made = drafts.campaign()
        path, body, gone = "campaign", drafts.campaign_body(), {"campaign_ids": [made]}
    else:
        made = drafts.ad_group(holder)
        path, body, gone = "adgroup", drafts.ad_group_body(holder), {"adgroup_ids": [made]}
    code, message = drafts.refused(f"{path}/create", **body)
    assert (code, str(MAX_ENTITIES) in message) == (40002, True)
    drafts.post(f"{path}/status/update", operation_status="DELETE", **gone)
    drafts.post(f"{path}/create", **body)


@pytest.mark.parametrize("what", FULL_MESSAGES)
def test_an_account_is_full_at_999(what: str) -> None:
    """An account holds 999 campaigns, a campaign 999 ad groups; deleted ones make room."""
    limits = Limits(qps=None, qpm=None)
    with RunningSandbox(
        FULL_MESSAGES[what], limits=limits, switches=Switches(unique_campaign_names=False)
    ) as running:
        for api in client(running):
            assert_full(writer(api), what)


@pytest.mark.parametrize(("time_outs", "per_second"), SLOWDOWN_STEPS)
def test_the_more_time_outs_the_slower(time_outs: int, per_second: int) -> None:
    """Ten, twenty, thirty time-outs within ten seconds leave five, one and no query a second for five minutes."""
    now = [100.0]
    penalties = Penalties(lambda: now[0])

    def admitted() -> int:
        """How many of eight different queries pass at this moment."""
        refused = []
        for number in range(8):
            try:
                penalties.check({"q": f"{now[0]} {number}"}, 40016)
            except ApiError as error:
                refused.append(error.code)
        assert set(refused) <= {40100}
        return 8 - len(refused)

    for number in range(time_outs):
        now[0] += 9.9 / time_outs
        penalties.record_timeout({"q": str(number)})
    assert admitted() == per_second
    now[0] += 1
    assert admitted() == per_second
    now[0] += SLOW_SECONDS - 1.1
    assert admitted() == per_second
    now[0] += 0.2
    assert admitted() == 8


def test_slow_time_outs_are_not_punished() -> None:
    """Thirty time-outs of different queries, none ten of them within ten seconds, cost nothing."""
    now = [0.0]
    penalties = Penalties(lambda: now[0])
    for number in range(30):
        now[0] += 1.2
        penalties.record_timeout({"q": str(number)})
        for other in range(20):
            penalties.check({"q": f"{number} {other}"}, 40016)


def test_asynchronous_reports_are_not_imitated(api: Api, accounts: list[str]) -> None:
    """The routes of asynchronous reports are unknown ones: nobody mistakes them for empty reports."""
    assert api.post("report/task/create", advertiser_id=accounts[0])["code"] == 40400
    for route in ("check", "download"):
        assert api.get(f"report/task/{route}", advertiser_id=accounts[0], task_id="1")["code"] == 40400
