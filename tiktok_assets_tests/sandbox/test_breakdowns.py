"""Tests of audience, country and Smart+ reports, of time-out penalties and of TikTok's own sandbox."""

from collections import defaultdict
from decimal import Decimal
from typing import Any

import pytest

from tiktok_assets.sandbox.http.context import Switches
from tiktok_assets.sandbox.http.rate_limits import Penalties
from tiktok_assets.sandbox.reads.breakdowns import MARKETS, PROVINCES
from tiktok_assets.sandbox.running import RunningSandbox
from tiktok_assets_tests.sandbox.conftest import ID_OF, Api, client, total

WINDOW: dict[str, Any] = {"start_date": "2026-10-20", "end_date": "2026-11-02"}
NAMES = ["spend", "impressions", "clicks", "conversion"]
STATUS_ALL = {"field_name": "ad_status", "filter_type": "IN", "filter_value": '["STATUS_ALL"]'}


def audience(
    api: Api, account: str, *dimensions: str, level: str = "AUCTION_AD", window: dict[str, Any] = WINDOW
) -> list[dict[str, Any]]:
    """Return the rows of all pages of an audience report."""
    query = {"report_type": "AUDIENCE", "dimensions": [ID_OF[level], *dimensions], "metrics": NAMES, **window}
    rows: list[dict[str, Any]] = []
    while page := api.rows(account, level, page=len(rows) // 1000 + 1, **query):
        rows += page
        if len(page) < 1000:
            break
    return rows


@pytest.mark.slow
@pytest.mark.parametrize(
    ("dimensions", "by_day"),
    [
        *(((name,), by_day) for name in ("age", "gender", "platform", "language") for by_day in (True, False)),
        (("age", "gender"), True),
        (("age", "gender"), False),
        (("placement",), True),
        (("device_brand_id",), False),
    ],
)
def test_audience_rows_sum_to_the_basic_report(
    api: Api, accounts: list[str], dimensions: tuple[str, ...], by_day: bool
) -> None:
    """The audience rows of settled days sum exactly to the basic report of each ad."""
    time = ["stat_time_day"] if by_day else []
    parts = audience(api, accounts[2], *dimensions, *time)
    assert {*dimensions, *time, "ad_id"} == set(parts[0]["dimensions"])
    whole = api.rows(accounts[2], dimensions=["ad_id", *time], metrics=NAMES, **WINDOW)
    for name in NAMES:
        sums: dict[tuple[str, ...], Decimal] = defaultdict(Decimal)
        for row in parts:
            sums[tuple(row["dimensions"][one] for one in ("ad_id", *time))] += Decimal(row["metrics"][name])
        for row in whole:
            if row["metrics"]["impressions"] != "0":
                key = tuple(row["dimensions"][one] for one in ("ad_id", *time))
                assert Decimal(row["metrics"][name]) == sums.pop(key)
        assert not sums


@pytest.mark.parametrize("level", list(ID_OF))
def test_audience_sums_agree_between_levels(api: Api, accounts: list[str], level: str) -> None:
    """Audience reports have the same sums at every level."""
    finest = total(audience(api, accounts[0], "age"), "spend")
    assert finest == total(audience(api, accounts[0], "age", level=level), "spend") > 0


@pytest.mark.parametrize("dimension", ["country_code", "interest_category", "province_id", "dma_id"])
def test_some_breakdowns_do_not_sum_to_the_total(api: Api, accounts: list[str], dimension: str) -> None:
    """Breakdowns by country and interest omit part of the delivery."""
    parts = audience(api, accounts[0], dimension)
    assert 0 < total(parts, "spend") < total(api.rows(accounts[0], metrics=NAMES, **WINDOW), "spend")
    if dimension == "interest_category":
        assert parts[0]["dimensions"]["interest_category_v2"] == parts[0]["dimensions"]["interest_category"]


def test_places_are_within_their_country(api: Api, accounts: list[str]) -> None:
    """The states and markets of the United States have less spend than the country; markets are only there."""
    spend = {
        account: {
            dimension: {
                label: sum((Decimal(row["metrics"]["spend"]) for row in rows), Decimal(0))
                for label, rows in by_label(audience(api, account, dimension), dimension).items()
            }
            for dimension in ("country_code", "province_id", "dma_id")
        }
        for account in accounts[:2]
    }
    for found in spend.values():
        states = sum(found["province_id"][one] for one in PROVINCES["US"])
        assert 0 < sum(found["dma_id"].values()) < found["country_code"]["US"]
        assert 0 < states < found["country_code"]["US"]
        assert found["dma_id"].keys() == MARKETS.keys()
    tokyo = spend[accounts[1]]
    assert sum(tokyo["dma_id"].values()) < sum(tokyo["country_code"].values()) / 10


def by_label(rows: list[dict[str, Any]], dimension: str) -> dict[str, list[dict[str, Any]]]:
    """Group rows by a dimension."""
    found: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        found[row["dimensions"][dimension]].append(row)
    return found


def test_country_reports_have_reach(api: Api, accounts: list[str]) -> None:
    """Reports by country have reach and frequency, as seen live on 2026-08-13."""
    names = ["spend", "reach", "frequency", "conversion_rate_v2"]
    body = api.report(
        accounts[0], report_type="AUDIENCE", dimensions=["ad_id", "country_code"], metrics=names, **WINDOW
    )
    assert body["code"] == 0
    assert set(body["data"]["list"][0]["metrics"]) == set(names)


def test_country_in_a_basic_report(api: Api, accounts: list[str]) -> None:
    """BASIC reports allow the dimension country_code and a filter by it, but not with hours."""
    query: dict[str, Any] = {"dimensions": ["ad_id", "country_code", "stat_time_day"], **WINDOW}
    rows = api.rows(accounts[1], **query)
    assert {row["dimensions"]["country_code"] for row in rows} == {"JP", "US"}
    japan = {"field_name": "country_code", "filter_type": "IN", "filter_value": '["JP"]'}
    rows = api.rows(accounts[1], filtering=[STATUS_ALL, japan], **query)
    assert {row["dimensions"]["country_code"] for row in rows} == {"JP"}
    assert api.report(accounts[1], filtering=[japan], **WINDOW)["code"] == 40002
    hours = {"dimensions": ["ad_id", "country_code", "stat_time_hour"], "start_date": "2026-11-02"}
    assert "Conflict" in api.report(accounts[1], **{**WINDOW, **hours})["message"]


def test_audience_data_are_sixteen_hours_late(api: Api, accounts: list[str]) -> None:
    """Audience data appear 16 hours after the local day's end, countries at once (API notes 7)."""
    yesterday: dict[str, Any] = {"start_date": "2026-11-08", "end_date": "2026-11-08"}
    for now, rows in (("2026-11-09T23:00:00Z", False), ("2026-11-10T00:00:00Z", True)):  # midnight was at 08:00
        api.control("POST", "clock", now=now)
        assert bool(audience(api, accounts[0], "age", window=yesterday)) is rows
        assert audience(api, accounts[0], "country_code", window=yesterday)


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"dimensions": ["ad_id"]}, "audience dimension is required"),
    ({"dimensions": ["ad_id", "age", "platform"]}, "Conflict"),
    ({"dimensions": ["ad_id", "age", "gender", "country_code"]}, "Conflict"),
    ({"dimensions": ["ad_id", "age", "stat_time_hour"], "start_date": "2026-11-02"}, "Conflict"),
    ({"dimensions": ["ad_id", "interest_category", "stat_time_day"]}, "Conflict"),
    ({"dimensions": ["ad_id", "age", "mood"]}, "mood is not a valid dimension"),
    ({"dimensions": ["ad_id", "device_brand_id", "stat_time_day"]}, "Conflict"),
    ({"dimensions": ["ad_id", "ac"]}, "not imitated"),
    ({"dimensions": ["ad_id", "age"], "metrics": ["reach"]}, "Conflict"),
    ({"dimensions": ["ad_id", "country_code"], "metrics": ["spend", "complete_payment"]}, "Conflict"),
    ({"dimensions": ["ad_id", "country_code"], "metrics": ["cost_per_1000_reached"]}, "Conflict"),
    ({"dimensions": ["ad_id", "age"], "metrics": ["spend", "gross_impressions"]}, "Conflict"),
    ({"dimensions": ["ad_id", "age"], "metrics": ["mood"]}, "Invalid metric fields: ['mood']"),
    ({"dimensions": ["ad_id", "platform"], "metrics": ["total_onsite_shopping_value"]}, "Conflict"),
    ({"dimensions": ["ad_id", "age"], "query_lifetime": True}, "query_lifetime"),
    ({"report_type": "BASIC", "dimensions": ["ad_id", "age"]}, "age is not a valid dimension"),
    ({"report_type": "BASIC", "dimensions": ["ad_id", "ad_type"]}, "not imitated"),
    ({"report_type": "CATALOG", "dimensions": ["ad_id"]}, "report_type"),
]


@pytest.mark.parametrize(("params", "message"), REFUSED, ids=str)
def test_audience_rules(api: Api, accounts: list[str], params: dict[str, Any], message: str) -> None:
    """An audience request that breaks a rule of API notes 6.2 fails with 40002 and names the rule."""
    body = api.report(accounts[0], **{"report_type": "AUDIENCE", **WINDOW, **params})
    assert body["code"] == 40002
    assert message in body["message"]


def smart_ads(api: Api, account: str) -> list[dict[str, Any]]:
    """Return the Upgraded Smart+ rows of ad/get."""
    filtering = {"campaign_automation_type": "UPGRADED_SMART_PLUS"}
    body = api.get("ad/get", advertiser_id=account, page_size=1000, filtering=filtering)
    rows: list[dict[str, Any]] = body["data"]["list"]
    return rows


def test_smart_plus_ads_are_creatives(api: Api, accounts: list[str]) -> None:
    """In Smart+ `ad_id` is a creative without modify_time and `ad_id_v2` its ad; otherwise they are equal."""
    rows = smart_ads(api, accounts[2])
    assert (len(rows), len({one["ad_id_v2"] for one in rows})) == (5, 2)
    assert all(one["ad_id"] != one["ad_id_v2"] == one["smart_plus_ad_id"] for one in rows)
    assert not any("modify_time" in one for one in rows)
    manual = api.get("ad/get", advertiser_id=accounts[0], page_size=1000)["data"]["list"]
    assert all(one["ad_id"] == one["ad_id_v2"] and "modify_time" in one for one in manual)
    for path, key in (("campaign/get", "campaign_id"), ("adgroup/get", "adgroup_id")):
        filtering = {"campaign_automation_type": "UPGRADED_SMART_PLUS"}
        rows_of_parent = api.get(path, advertiser_id=accounts[2], filtering=filtering)["data"]["list"]
        assert {one[key] for one in rows_of_parent} == {one[key] for one in rows}
    since = {"modified_after": "2026-01-01 00:00:00"}
    body = api.get("ad/get", advertiser_id=accounts[2], page_size=1000, filtering=since)
    assert (body["code"], {one["campaign_automation_type"] for one in body["data"]["list"]}) == (0, {"MANUAL"})


def test_smart_plus_reports_at_two_levels(api: Api, accounts: list[str]) -> None:
    """Rows by creative and by ad have the same total spend and different values of campaign_automation_type."""
    names = ["spend", "campaign_automation_type", "ad_name"]
    sums, types, counts = [], [], []
    for dimension in ("ad_id", "ad_id_v2"):
        rows = api.rows(accounts[2], dimensions=[dimension], metrics=names, query_lifetime=True)
        smart = [row for row in rows if row["metrics"]["campaign_automation_type"] != "MANUAL"]
        sums.append(total(rows, "spend"))
        counts.append(len(smart))
        types.append({row["metrics"]["campaign_automation_type"] for row in smart})
    assert sums[0] == sums[1] > 0
    assert counts == [5, 2]
    assert types == [{"UPGRADED_SMART_PLUS_CREATIVE"}, {"UPGRADED_SMART_PLUS"}]


def test_both_ad_ids_in_one_query_fail(api: Api, accounts: list[str]) -> None:
    """A query with both ad_id and ad_id_v2 as dimension, metric or filter fails."""
    v2_filter = {"field_name": "ad_ids_v2", "filter_type": "IN", "filter_value": '["1"]'}
    for query in (
        {"dimensions": ["ad_id"], "metrics": ["ad_id_v2"]},
        {"dimensions": ["ad_id_v2"], "metrics": ["ad_id"]},
        {"dimensions": ["ad_id"], "filtering": [v2_filter]},
    ):
        body = api.report(accounts[2], query_lifetime=True, **query)
        assert (body["code"], "ad_id_v2" in body["message"]) == (40002, True)
    assert (
        api.report(accounts[2], query_lifetime=True, dimensions=["ad_id_v2"], filtering=[v2_filter])["code"] == 0
    )


def test_smart_plus_refuses_ordinary_writes(api: Api, accounts: list[str]) -> None:
    """The ordinary write endpoints refuse Upgraded Smart+ campaigns."""
    ad = smart_ads(api, accounts[2])[0]
    body: dict[str, Any] = {"advertiser_id": accounts[2], "operation_status": "DISABLE"}
    response = api.post("campaign/status/update", campaign_ids=[ad["campaign_id"]], **body)
    assert (response["code"], "Smart+" in response["message"]) == (40002, True)


def test_query_is_blocked_after_three_time_outs(api: Api, accounts: list[str]) -> None:
    """After three time-outs a query is blocked and others are not; a switch turns this off."""
    api.control("POST", "faults", kind="code", code=50002, path="report/integrated/get", times=3)
    codes = [api.report(accounts[0], query_lifetime=True)["code"] for _ in range(4)]
    assert codes == [50002, 50002, 50002, 40016]
    assert api.report(accounts[0], query_lifetime=True, metrics=["spend"])["code"] == 0
    api.control("POST", "switches", timeout_penalties=False)
    assert api.report(accounts[0], query_lifetime=True)["code"] == 0
    api.control("POST", "switches", timeout_penalties=True)
    api.control("DELETE", "penalties")
    assert api.report(accounts[0], query_lifetime=True)["code"] == 0


def test_penalties_end() -> None:
    """A block ends after ten minutes, and a slowdown after five."""
    now = [0.0]
    penalties = Penalties(lambda: now[0])

    def is_allowed(name: str) -> bool:
        try:
            penalties.check({"q": name}, 40016)
        except Exception:  # noqa: BLE001  # any error
            return False
        return True

    for _ in range(3):
        penalties.record_timeout({"q": "same"})
    assert (is_allowed("same"), is_allowed("other")) == (False, True)
    now[0] = 600.0
    assert is_allowed("same")
    for number in range(10):
        penalties.record_timeout({"q": str(number)})
    assert [is_allowed(f"new {number}") for number in range(6)] == [True] * 5 + [False]
    now[0] = 900.0
    assert all(is_allowed(f"new {number}") for number in range(20))


def test_tiktok_sandbox_switch() -> None:
    """TikTok's own sandbox has no account endpoints, secondary_status or order, and its own limits and errors."""
    with RunningSandbox(switches=Switches(tiktok_sandbox=True)) as running:
        for api in client(running):
            limits = running.state.limiter.limits
            assert (limits.qps, limits.qpm, limits.path_qps, limits.path_qpm) == (None, None, 1, 30)
            account = next(iter(running.world.advertisers))
            assert api.get("campaign/get", advertiser_id=account)["code"] == 0
            assert api.get("campaign/get", advertiser_id=account)["code"] == 40016
            assert api.get("adgroup/get", advertiser_id=account)["code"] == 0
            api.control("POST", "limits", path_qps=None, path_qpm=None)
            query = {"app_id": running.app_id, "secret": running.secret}
            assert api.get("oauth2/advertiser/get", **query)["code"] == 40009
            assert api.get("advertiser/info", advertiser_ids=[account])["code"] == 40009
            assert api.get("ad/get", advertiser_id="12")["code"] == 40013
            (ad,) = api.get("ad/get", advertiser_id=account, page_size=1)["data"]["list"]
            assert "secondary_status" not in ad
            plain = api.rows(account, query_lifetime=True)
            assert plain == api.rows(account, query_lifetime=True, order_field="spend")
