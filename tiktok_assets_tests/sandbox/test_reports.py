"""Tests of reports: rules, sums, zero rows, filters and order."""

import json
from decimal import Decimal
from typing import Any

import pytest

from tiktok_assets.sandbox.world.metrics import NUMERIC, is_additive
from tiktok_assets_tests.sandbox.conftest import ID_OF, Api, total

DAILY: dict[str, Any] = {"start_date": "2026-10-11", "end_date": "2026-11-09"}
LIFETIME: dict[str, Any] = {"query_lifetime": True}
LEVELS = list(ID_OF)


def condition(field: str, kind: str, value: object) -> dict[str, str]:
    """Return a report filter, whose value is text."""
    return {
        "field_name": field,
        "filter_type": kind,
        "filter_value": value if isinstance(value, str) else json.dumps(value),
    }


RULES: list[tuple[dict[str, Any], str]] = [
    ({"report_type": "NONE"}, "report_type"),
    ({"data_level": "AUCTION_NOTHING"}, "data_level"),
    ({"dimensions": []}, "dimensions"),
    ({"dimensions": ["campaign_id"]}, "parent ids as metrics"),
    ({"dimensions": ["ad_id", "campaign_id"]}, "parent ids as metrics"),
    ({"dimensions": ["ad_id", "nonsense"]}, "dimensions.1"),
    ({"dimensions": ["ad_id", "stat_time_day", "stat_time_hour"]}, "Conflict"),
    ({"dimensions": ["stat_time_day"]}, "id dimension"),
    ({"dimensions": ["ad_id", "stat_time_day"], "start_date": "2026-10-10"}, "30 day"),
    ({"dimensions": ["ad_id", "stat_time_hour"], "start_date": "2026-11-08"}, "1 day"),
    ({"start_date": "2025-11-09"}, "365 day"),
    ({"start_date": "2026-11-10"}, "start_date"),
    ({"start_date": ""}, "start_date: Missing"),
    ({"end_date": "9 November"}, "end_date"),
    ({"query_lifetime": True, "dimensions": ["ad_id", "stat_time_day"]}, "query_lifetime"),
    ({"metrics": ["spend", "x"]}, "Invalid metric fields: ['x']"),
    ({"metrics": ["cash_spend"]}, "Invalid metric fields: ['cash_spend']"),
    ({"metrics": "spend"}, "metrics"),
    ({"order_field": "ad_name"}, "order_field"),
    ({"page_size": 1001}, "page_size"),
    ({"filtering": {}}, "filtering"),
    ({"filtering": [{"field_name": "ad_ids", "filter_type": "IN"}]}, "filtering.0.filter_value"),
    ({"filtering": [condition("campaign_status", "IN", ["STATUS_ALL"])]}, "campaign_status is not supported"),
    ({"filtering": [condition("ad_status", "IN", ["NO"])]}, "filter_value"),
    ({"filtering": [condition("nonsense", "IN", ["1"])]}, "nonsense"),
    ({"filtering": [condition("ad_ids", "LIKE", ["1"])]}, "filter_type"),
]


@pytest.mark.parametrize(("params", "message"), RULES)
def test_rules(api: Api, accounts: list[str], params: dict[str, Any], message: str) -> None:
    """A request that breaks a rule fails with 40002 and names the rule."""
    body = api.report(accounts[0], **(DAILY | params))
    assert body["code"] == 40002, body
    assert message in body["message"]


def test_longest_windows_are_inclusive(api: Api, accounts: list[str]) -> None:
    """Windows of 30 days by day and of 365 days in total are allowed."""
    assert api.report(accounts[0], dimensions=["ad_id", "stat_time_day"], **DAILY)["code"] == 0
    year: dict[str, Any] = {"start_date": "2025-11-10", "end_date": "2026-11-09"}
    assert api.report(accounts[0], **year)["code"] == 0


@pytest.mark.parametrize("account", [0, 1, 2])
@pytest.mark.parametrize("window", [LIFETIME, DAILY, DAILY | {"by_day": True}])
def test_additive_metrics_agree_between_levels(
    api: Api, accounts: list[str], account: int, window: dict[str, Any]
) -> None:
    """Additive metrics have the same exact sum at every level, and reach has not."""
    names = [name for name in NUMERIC if is_additive(name) and name != "voucher_spend"]
    by_day = window.get("by_day")
    sums, reach = [], []
    for level in LEVELS:
        dimensions = [ID_OF[level], "stat_time_day"] if by_day else [ID_OF[level]]
        query = {key: value for key, value in window.items() if key != "by_day"}
        rows = api.rows(accounts[account], level, dimensions=dimensions, metrics=[*names, "reach"], **query)
        sums.append({name: total(rows, name) for name in names})
        reach.append(sum(int(row["metrics"]["reach"]) for row in rows if row["metrics"]["reach"] != "-"))
    assert sums[0]["spend"] > 0
    assert [sums[0]] * 4 == sums
    assert sorted(reach, reverse=True) == reach  # LEVELS goes from the finest to the coarsest
    assert reach[0] > reach[-1]


@pytest.mark.parametrize("level", LEVELS)
def test_reports_equal_the_ground_truth(api: Api, accounts: list[str], level: str) -> None:
    """With STATUS_ALL the daily rows are exactly the facts of the ground truth."""
    names = ["spend", "impressions", "conversion", "cpc", "ctr", "reach", "frequency"]
    rows = api.rows(accounts[1], level, dimensions=[ID_OF[level], "stat_time_day"], metrics=names, **DAILY)
    kind = {"AUCTION_AD": "ad", "AUCTION_ADGROUP": "ad_group", "AUCTION_CAMPAIGN": "campaign"}
    dates = f"start_date={DAILY['start_date']}&end_date={DAILY['end_date']}"
    params = f"level={kind.get(level, 'advertiser')}&advertiser_id={accounts[1]}&{dates}"
    truth = api.control("GET", f"truth/report?{params}")
    expected = {(row["id"], row["date"]): {name: row["metrics"][name] for name in names} for row in truth}
    reported = {
        (row["dimensions"][ID_OF[level]], row["dimensions"]["stat_time_day"][:10]): row["metrics"] for row in rows
    }
    assert expected == reported


def test_zero_rows(api: Api, accounts: list[str]) -> None:
    """An entity without data has no rows by day, and a row of zeros without a time dimension."""
    review = [condition("ad_status", "IN", ["AD_STATUS_AUDIT"])]
    by_day = api.report(accounts[0], dimensions=["ad_id", "stat_time_day"], filtering=review, **DAILY)
    assert by_day["data"]["list"] == []
    (row,) = api.report(accounts[0], filtering=review, **DAILY)["data"]["list"]
    assert row["metrics"] == {"spend": "0.00", "impressions": "0"}


def test_future_days_have_no_rows(api: Api, accounts: list[str]) -> None:
    """A report on the future succeeds and is empty."""
    body = api.report(
        accounts[0], dimensions=["ad_id", "stat_time_day"], start_date="2026-11-10", end_date="2026-12-09"
    )
    assert (body["code"], body["data"]["list"]) == (0, [])


def test_values_are_text(api: Api, accounts: list[str]) -> None:
    """Ids, days and metrics are text, and amounts in yen have no decimals."""
    query: dict[str, Any] = {
        "dimensions": ["ad_id", "stat_time_day"],
        "metrics": ["spend", "clicks", "ad_name", "campaign_id"],
    }
    row = api.report(accounts[1], **query, **DAILY)["data"]["list"][0]
    assert {"ad_id", "stat_time_day"} == set(row["dimensions"])
    assert row["dimensions"]["stat_time_day"].endswith(" 00:00:00")
    assert {str} == {type(value) for value in row["metrics"].values()}
    assert row["metrics"]["spend"].isdigit()
    (account,) = api.report(accounts[1], "AUCTION_ADVERTISER", metrics=["advertiser_id"], **LIFETIME)["data"][
        "list"
    ]
    assert accounts[1] == account["dimensions"]["advertiser_id"] == account["metrics"]["advertiser_id"]


@pytest.mark.parametrize("quote", [True, False])
def test_id_filters_accept_strings_and_numbers(api: Api, accounts: list[str], quote: bool) -> None:
    """Ids in a filter value may be strings or numbers."""
    scenario = api.sandbox.world.scenario
    assert scenario
    value = f'["{scenario.campaign_id}"]' if quote else f"[{scenario.campaign_id}]"
    rows = api.report(
        accounts[0], metrics=["campaign_id"], filtering=[condition("campaign_ids", "IN", value)], **LIFETIME
    )
    assert {scenario.campaign_id} == {row["metrics"]["campaign_id"] for row in rows["data"]["list"]}


def test_metric_and_name_filters(api: Api, accounts: list[str]) -> None:
    """Reports can be filtered by metric, name and creation time."""
    query = [
        condition("spend", "GREATER_THAN", "100"),
        condition("ad_name", "CONTAIN_ANY_OF", ["story", "unboxing"]),
        condition("create_time", "LOWER_THAN", "2026-11-01 00:00:00"),
    ]
    rows = api.report(accounts[0], metrics=["spend", "ad_name"], filtering=query, **LIFETIME)["data"]["list"]
    assert rows
    for row in rows:
        assert Decimal(row["metrics"]["spend"]) > 100
        assert any(word in row["metrics"]["ad_name"].casefold() for word in ("story", "unboxing"))


@pytest.mark.parametrize("order", ["ASC", "DESC"])
def test_order(api: Api, accounts: list[str], order: str) -> None:
    """Rows are ordered by the order field as numbers; without one the order is stable."""
    rows = api.rows(accounts[0], order_field="spend", order_type=order, **LIFETIME)
    spend = [Decimal(row["metrics"]["spend"]) for row in rows]
    assert sorted(spend, reverse=order == "DESC") == spend
    assert api.rows(accounts[0], **LIFETIME) == api.rows(accounts[0], **LIFETIME)


@pytest.mark.parametrize("page_size", [1, 7, 100])
def test_pages_of_reports_are_complete(api: Api, accounts: list[str], page_size: int) -> None:
    """The pages of a report together are the whole report."""
    query: dict[str, Any] = {
        "dimensions": ["campaign_id", "stat_time_day"],
        "start_date": "2026-11-01",
        "end_date": "2026-11-09",
    }
    whole = api.report(accounts[0], "AUCTION_CAMPAIGN", **query)["data"]["list"]
    seen: list[dict[str, Any]] = []
    for page in range(1, -(-len(whole) // page_size) + 1):
        seen += api.report(accounts[0], "AUCTION_CAMPAIGN", **query, page=page, page_size=page_size)["data"][
            "list"
        ]
    assert whole == seen


def test_hours_sum_to_the_day(api: Api, accounts: list[str]) -> None:
    """The hours of a day sum exactly to the day, also on a day of 25 hours."""
    for day in ("2026-11-01", "2026-11-05"):
        window: dict[str, Any] = {"start_date": day, "end_date": day, "metrics": ["spend", "clicks", "likes"]}
        hours = api.rows(accounts[0], dimensions=["ad_id", "stat_time_hour"], **window)
        days = api.rows(accounts[0], dimensions=["ad_id", "stat_time_day"], **window)
        for name in ("spend", "clicks", "likes"):
            assert total(hours, name) == total(days, name) > 0


def test_voucher_spend_of_accounts_by_day(api: Api, accounts: list[str]) -> None:
    """Cash and voucher spend are available for accounts by day, and sum to the spend."""
    rows = api.rows(
        accounts[0],
        "AUCTION_ADVERTISER",
        dimensions=["stat_time_day"],
        metrics=["spend", "cash_spend", "voucher_spend"],
        start_date="2026-10-20",
        end_date="2026-10-25",
    )
    assert total(rows, "spend") == total(rows, "cash_spend") + total(rows, "voucher_spend")
    assert len(rows) == 6


def test_totals(api: Api, accounts: list[str]) -> None:
    """`enable_total_metrics` adds the totals, with "-" for attributes."""
    body = api.report(accounts[0], metrics=["spend", "ad_name"], enable_total_metrics=True, **LIFETIME)["data"]
    assert {"spend": str(total(body["list"], "spend")), "ad_name": "-"} == body["total_metrics"]


def test_truncation_sets_a_header(api: Api, accounts: list[str]) -> None:
    """Above the maximum only the newest ads are reported, and a header is set."""
    api.control("POST", "switches", max_report_ads=3)
    try:
        params = {
            "advertiser_id": accounts[0],
            "report_type": "BASIC",
            "data_level": "AUCTION_AD",
            "dimensions": '["ad_id"]',
            "query_lifetime": "true",
        }
        response = api.http.get(
            "/open_api/v1.3/report/integrated/get/", params=params, headers={"Access-Token": api.sandbox.token}
        )
    finally:
        api.control("POST", "switches", max_report_ads=20_000)
    assert len(response.json()["data"]["list"]) == 3
    assert "X-Tt-Ads-Throttle" in response.headers
