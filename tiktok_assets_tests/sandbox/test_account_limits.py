"""Tests of the maximum number of campaigns and ad groups, and of the penalties for time-outs."""

import pytest

from tiktok_assets.sandbox.http.context import Switches
from tiktok_assets.sandbox.http.errors import ApiError
from tiktok_assets.sandbox.http.rate_limits import SLOW_SECONDS, SLOWDOWN_STEPS, Limits, Penalties
from tiktok_assets.sandbox.running import RunningSandbox
from tiktok_assets.sandbox.world.model import WorldPlan
from tiktok_assets_tests.sandbox.conftest import client, factory_for
from tiktok_assets_tests.sandbox.factory import EntityFactory

MAX_ENTITIES = 999
PLANS = {
    kind: WorldPlan(
        dense=True, advertisers=1, days=1, campaigns=campaigns, ad_groups=MAX_ENTITIES - 1, ads=MAX_ENTITIES - 1
    )
    for kind, campaigns in (("campaigns", MAX_ENTITIES - 1), ("ad groups", 1))
}
"""Plans of accounts to which one more entity can be added."""


def assert_full(factory: EntityFactory, kind: str) -> None:
    """Check that one more is created and the next is refused, until one is deleted."""
    listed = factory.api.get("campaign/get", advertiser_id=factory.account, page_size=1)["data"]["list"]
    campaign_id = listed[0]["campaign_id"]
    if kind == "campaigns":
        created = factory.campaign()
        path, body, deleted = "campaign", factory.campaign_body(), {"campaign_ids": [created]}
    else:
        created = factory.ad_group(campaign_id)
        path, body, deleted = "adgroup", factory.ad_group_body(campaign_id), {"adgroup_ids": [created]}
    code, message = factory.refused(f"{path}/create", **body)
    assert (code, str(MAX_ENTITIES) in message) == (40002, True)
    factory.post(f"{path}/status/update", operation_status="DELETE", **deleted)
    factory.post(f"{path}/create", **body)


@pytest.mark.parametrize("kind", PLANS)
def test_at_most_999_campaigns_and_ad_groups(kind: str) -> None:
    """An account may have 999 campaigns and a campaign 999 ad groups, not counting deleted ones."""
    limits = Limits(qps=None, qpm=None)
    with RunningSandbox(PLANS[kind], limits=limits, switches=Switches(unique_campaign_names=False)) as running:
        for api in client(running):
            assert_full(factory_for(api), kind)


@pytest.mark.parametrize(("time_outs", "per_second"), SLOWDOWN_STEPS)
def test_time_outs_slow_down_queries(time_outs: int, per_second: int) -> None:
    """After 10, 20 or 30 time-outs within ten seconds, 5, 1 or 0 queries a second are allowed for five minutes."""
    now = [100.0]
    penalties = Penalties(lambda: now[0])

    def admitted() -> int:
        """Return how many of eight different queries are allowed now."""
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


def test_rare_time_outs_have_no_penalty() -> None:
    """Thirty time-outs of different queries have no effect if no ten of them are within ten seconds."""
    now = [0.0]
    penalties = Penalties(lambda: now[0])
    for number in range(30):
        now[0] += 1.2
        penalties.record_timeout({"q": str(number)})
        for other in range(20):
            penalties.check({"q": f"{number} {other}"}, 40016)
