"""Tests of the shops, campaigns and reports of GMV Max, on a world with one shop that has them."""

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import pytest

from tiktok_assets.sandbox.http.rate_limits import Limiter, Limits
from tiktok_assets.sandbox.running import RunningSandbox
from tiktok_assets.sandbox.world.model import WorldPlan
from tiktok_assets_tests.sandbox.conftest import Api, client, total
from tiktok_assets_tests.sandbox.test_contracts import violations

LIST, REPORT, STORES = "gmv_max/campaign/get", "gmv_max/report/get", "gmv_max/store/list"
DAYS: dict[str, Any] = {"start_date": "2026-10-15", "end_date": "2026-11-08"}
PRODUCT: dict[str, Any] = {"gmv_max_promotion_types": ["PRODUCT"]}
MONEY = ["cost", "orders", "gross_revenue"]


@dataclass
class Shop:
    """A client of a world with GMV Max, its account and its shop."""

    api: Api
    account: str
    store: str

    def get(self, path: str, **params: Any) -> dict[str, Any]:  # noqa: ANN401  # any parameter
        """Return the envelope of a GET for the account."""
        return self.api.get(path, **{"advertiser_id": self.account, **params})

    def rows(self, path: str = REPORT, **params: Any) -> list[dict[str, Any]]:  # noqa: ANN401  # any parameter
        """Return the rows of an answer that must succeed and keep its contract."""
        report = {"store_ids": [self.store], "metrics": MONEY, "page_size": 1000, **DAYS}
        response = self.get(path, **((report if path == REPORT else {}) | params))
        assert (response["code"], violations(path, response)) == (0, [])
        rows: list[dict[str, Any]] = response["data"]["list"]
        return rows

    def refused(self, path: str = REPORT, **params: Any) -> str:  # noqa: ANN401  # any parameter
        """Return the message of a GET that must fail with 40002 or 40011."""
        response = self.get(path, **{"store_ids": [self.store], "metrics": MONEY, **DAYS, **params})
        assert response["code"] in {40002, 40011}
        return str(response["message"])

    def campaigns(self, *types: str, **filtering: object) -> list[dict[str, Any]]:
        """Return the listed campaigns of some types."""
        return self.rows(LIST, filtering={"gmv_max_promotion_types": types, **filtering})


@pytest.fixture(scope="module")
def shop_sandbox() -> Iterator[RunningSandbox]:
    """Run one sandbox with GMV Max for this module."""
    plan = WorldPlan(advertisers=2, campaigns=3, gmv_max=True)
    with RunningSandbox(plan, limits=Limits(qps=None, qpm=None)) as running:
        yield running


@pytest.fixture
def shop(shop_sandbox: RunningSandbox) -> Iterator[Shop]:
    """Return a client of the shop."""
    account = next(iter(shop_sandbox.world.advertisers))
    for api in client(shop_sandbox):
        stores = api.get(STORES, advertiser_id=account)["data"]["store_list"]
        (store,) = [one["store_id"] for one in stores if one["is_gmv_max_available"]]
        yield Shop(api, account, store)


def test_shops(shop: Shop) -> None:
    """One account has a shop with GMV Max and one without; an account without a shop has an empty list."""
    response = shop.get(STORES)
    assert violations(STORES, response) == []
    assert [one["is_gmv_max_available"] for one in response["data"]["store_list"]] == [True, False]
    other = list(shop.api.sandbox.world.advertisers)[1]
    assert shop.api.get(STORES, advertiser_id=other)["data"] == {"store_list": []}
    closed = response["data"]["store_list"][1]["store_id"]
    body = shop.get(REPORT, store_ids=[closed], metrics=MONEY, dimensions=["advertiser_id"], **DAYS)
    assert body["code"] == 40001


def test_campaigns_are_in_their_own_list_only(shop: Shop) -> None:
    """GMV Max campaigns are in gmv_max/campaign/get, deleted ones on request only, and in no other list."""
    both = {one["campaign_id"] for one in shop.campaigns("PRODUCT_GMV_MAX", "LIVE_GMV_MAX")}
    (product,) = shop.campaigns("PRODUCT_GMV_MAX")
    (live,) = shop.campaigns("LIVE_GMV_MAX", store_ids=[shop.store])
    (deleted,) = shop.campaigns("PRODUCT_GMV_MAX", primary_status="STATUS_DELETE")
    assert both == {product["campaign_id"], live["campaign_id"]}
    assert deleted["secondary_status"] == "CAMPAIGN_STATUS_DELETE"
    everything: dict[str, Any] = {"primary_status": "STATUS_ALL"}
    listed = shop.rows("campaign/get", filtering=everything, page_size=1000)
    assert not {one["campaign_id"] for one in listed} & (both | {deleted["campaign_id"]})
    assert "gmv_max_promotion_types" in shop.refused(LIST, filtering={})
    assert "filtering" in shop.refused(LIST)
    assert "page_size" in shop.refused(
        LIST, filtering={"gmv_max_promotion_types": ["LIVE_GMV_MAX"]}, page_size=101
    )


def test_spend_is_in_no_other_report(shop: Shop) -> None:
    """The reports of a world with GMV Max equal those of the same world without it."""
    with RunningSandbox(WorldPlan(advertisers=2, campaigns=3), limits=Limits(qps=None, qpm=None)) as plain:
        for other in client(plain):
            spend = [
                api.rows(shop.account, "AUCTION_ADVERTISER", query_lifetime=True) for api in (shop.api, other)
            ]
    assert spend[0] == spend[1]
    assert total(shop.rows(dimensions=["advertiser_id"]), "cost") > 0


def test_levels_agree(shop: Shop) -> None:
    """Products sum to their campaign, posts to their product, days to the window, and types to the account."""
    (campaign,) = shop.campaigns("PRODUCT_GMV_MAX")
    window = {"end_date": "2026-11-07"}  # all costs of it have arrived at every level
    one = {"campaign_ids": [campaign["campaign_id"]]}
    (row,) = shop.rows(dimensions=["campaign_id"], filtering=PRODUCT | one, **window)
    products = shop.rows(dimensions=["item_group_id"], filtering=one, **window)
    ids = [row["dimensions"]["item_group_id"] for row in products]
    posts = shop.rows(
        dimensions=["campaign_id", "item_group_id", "item_id"], filtering=one | {"item_group_ids": ids}, **window
    )
    days = shop.rows(dimensions=["campaign_id", "stat_time_day"], filtering=PRODUCT | one, **window)
    for metric in MONEY:
        expected = Decimal(row["metrics"][metric])
        assert [total(rows, metric) for rows in (products, posts, days)] == [expected] * 3
    kinds = [
        shop.rows(dimensions=["campaign_id"], filtering={"gmv_max_promotion_types": [kind]})
        for kind in ("PRODUCT", "LIVE")
    ]
    account = shop.rows(dimensions=["advertiser_id"])
    assert total(account, "cost") == sum(total(rows, "cost") for rows in kinds)


def test_deleted_campaigns_are_reported_on_request(shop: Shop) -> None:
    """A deleted campaign is in reports with the filter for its status only."""
    (deleted,) = shop.campaigns("PRODUCT_GMV_MAX", primary_status="STATUS_DELETE")
    found = [
        {row["dimensions"]["campaign_id"] for row in shop.rows(dimensions=["campaign_id"], filtering=filtering)}
        for filtering in (PRODUCT, PRODUCT | {"campaign_statuses": ["STATUS_ALL"]})
    ]
    assert found[1] - found[0] == {deleted["campaign_id"]}


def test_net_cost_and_cost_of_products_are_late(shop: Shop) -> None:
    """In the first hours of a day there is cost by campaign, but neither net cost nor cost by product."""
    (campaign,) = shop.campaigns("PRODUCT_GMV_MAX")
    today = {"start_date": "2026-11-09", "end_date": "2026-11-09"}
    metrics = ["cost", "net_cost"]
    (row,) = shop.rows(dimensions=["campaign_id"], filtering=PRODUCT, metrics=metrics, **today)
    assert Decimal(row["metrics"]["cost"]) > Decimal(row["metrics"]["net_cost"]) == 0
    one = {"campaign_ids": [campaign["campaign_id"]]}
    assert total(shop.rows(dimensions=["item_group_id"], filtering=one, **today), "cost") == 0


def test_totals_attributes_and_currency(shop: Shop) -> None:
    """Totals sum all pages, products show the currency as "0" and posts as it is, and LIVE has numbers."""
    (campaign,) = shop.campaigns("PRODUCT_GMV_MAX")
    query: dict[str, Any] = {"dimensions": ["campaign_id", "stat_time_day"], "filtering": PRODUCT}
    response = shop.get(
        REPORT, store_ids=[shop.store], metrics=MONEY, enable_total_metrics=True, page_size=3, **DAYS, **query
    )
    assert len(response["data"]["list"]) == 3
    assert Decimal(response["data"]["total_metrics"]["cost"]) == total(shop.rows(**query), "cost")
    one = {"campaign_ids": [campaign["campaign_id"]]}
    names = ["product_name", "product_status", "bid_type"]
    products = shop.rows(dimensions=["item_group_id"], filtering=one, metrics=names)
    assert {row["metrics"]["currency"] for row in products} == {"0"}
    assert {row["metrics"]["product_status"] for row in products} == {"available", "unavailable"}
    item = {"item_group_ids": [products[0]["dimensions"]["item_group_id"]]}
    posts = shop.rows(dimensions=["item_id"], filtering=one | item, metrics=["title", "creative_delivery_status"])
    assert {row["metrics"]["currency"] for row in posts} == {"USD"}
    assert "-1" in {row["dimensions"]["item_id"] for row in posts}
    live = shop.rows(
        dimensions=["campaign_id"],
        filtering={"gmv_max_promotion_types": ["LIVE"]},
        metrics=["all_shops_orders", "all_shops_roi", "10_second_live_views"],
    )
    assert [type(value) for value in live[0]["metrics"].values()] == [int, float, str]


def test_posts_by_day_have_cost(shop: Shop) -> None:
    """By campaign, product, post and day there are only rows with cost; other days may be rows of zeros."""
    (campaign,) = shop.campaigns("PRODUCT_GMV_MAX")
    one = {"campaign_ids": [campaign["campaign_id"]]}
    ids = [row["dimensions"]["item_group_id"] for row in shop.rows(dimensions=["item_group_id"], filtering=one)]
    grouped = ["campaign_id", "item_group_id", "item_id", "stat_time_day"]
    rows = shop.rows(dimensions=grouped, filtering=one | {"item_group_ids": ids})
    assert min(Decimal(row["metrics"]["cost"]) for row in rows) > 0
    names = ["item_id", "title"]
    for refused in (True, False):
        shop.api.control("POST", "switches", gmv_max_attributes_refused=refused)
        query: dict[str, Any] = {"dimensions": grouped, "filtering": one | {"item_group_ids": ids}}
        if refused:
            assert "title" in shop.refused(metrics=names, **query)
        else:
            assert {*shop.rows(metrics=[*names, "cost"], **query)[0]["metrics"]} == {"cost", "currency"}


def test_days_without_delivery(shop: Shop) -> None:
    """A day on which nothing is known of a campaign is a row of zeros, or with a switch no row."""
    today: dict[str, Any] = {"start_date": "2026-11-09", "end_date": "2026-11-09"}
    shop.api.sandbox.clock.set(shop.api.sandbox.world.plan.anchor.replace(day=9, hour=8))
    counts = []
    for zeros in (True, False):
        shop.api.control("POST", "switches", gmv_max_zero_days=zeros)
        counts.append(len(shop.rows(dimensions=["campaign_id", "stat_time_day"], filtering=PRODUCT, **today)))
    assert counts == [1, 0]


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"dimensions": ["campaign_id"]}, "gmv_max_promotion_types"),
    ({"dimensions": ["campaign_id"], "filtering": {"gmv_max_promotion_types": ["PRODUCT", "LIVE"]}}, "one type"),
    ({"dimensions": ["item_group_id"]}, "filtering.campaign_ids"),
    ({"dimensions": ["item_id"], "filtering": {"campaign_ids": ["1"]}}, "filtering.item_group_ids"),
    ({"dimensions": ["campaign_id", "item_id"]}, "Conflict"),
    ({"dimensions": ["advertiser_id", "duration"]}, "not imitated"),
    ({"dimensions": ["advertiser_id", "stat_time_day", "stat_time_hour"]}, "Conflict"),
    ({"dimensions": ["advertiser_id", "stat_time_day"], "start_date": "2026-10-09"}, "30 day"),
    ({"dimensions": ["advertiser_id", "stat_time_hour"]}, "1 day"),
    ({"dimensions": ["advertiser_id"], "start_date": "2025-11-08"}, "365 day"),
    ({"dimensions": ["advertiser_id"], "metrics": ["impressions"]}, "impressions"),
    ({"dimensions": ["advertiser_id"], "store_ids": ["1", "2"]}, "store_ids"),
    ({"dimensions": ["advertiser_id"], "sort_field": "title"}, "sort_field"),
]


@pytest.mark.parametrize(("params", "message"), REFUSED, ids=str)
def test_rules(shop: Shop, params: dict[str, Any], message: str) -> None:
    """A request that breaks a rule of the pages fails, and the message names the rule."""
    assert message in shop.refused(**params)


def test_a_token_may_lack_the_permission(shop: Shop) -> None:
    """Without the scope every route of GMV Max answers 40001, and other routes answer as before."""
    shop.api.control("POST", "switches", no_scope_for=["gmv_max"])
    codes = [shop.get(path)["code"] for path in (STORES, LIST, REPORT, "campaign/get")]
    assert codes == [40001, 40001, 40001, 0]


@pytest.mark.parametrize(("tier", "per_second"), [("basic", 8), ("advanced", 12), ("premium", 20)])
def test_reports_have_limits_of_their_own(tier: str, per_second: int) -> None:
    """The report has its own limit a second by the tier of the app, whatever else the app may send."""
    limiter = Limiter(Limits(qps=1000, qpm=None, tier=tier), lambda: 0.0)
    for _ in range(per_second):
        limiter.admit(REPORT, None)
    limiter.admit(STORES, None)
    with pytest.raises(Exception, match="40016"):
        limiter.admit(REPORT, None)
