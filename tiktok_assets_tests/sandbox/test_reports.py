"""Laws of the report endpoint: rules, additivity, zero rows, filters, order."""

import json
from decimal import Decimal
from typing import Any

import pytest

from tiktok_assets.sandbox.world.metrics import NUMERIC, is_additive
from tiktok_assets_tests.sandbox.conftest import ID_OF, Api, total

DAILY: dict[str, Any] = {"start_date": "2026-10-11", "end_date": "2026-11-09"}
LIFE: dict[str, Any] = {"query_lifetime": True}
LEVELS = list(ID_OF)


def condition(field: str, kind: str, value: object) -> dict[str, str]:
    """Return one report filter; its value is text."""
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


@pytest.mark.parametrize(("params", "named"), RULES)
def test_rules(api: Api, accounts: list[str], params: dict[str, Any], named: str) -> None:
    """A request that breaks a rule is a 40002 that names the rule."""
    body = api.report(accounts[0], **(DAILY | params))
    assert body["code"] == 40002, body
    assert named in body["message"]


def test_longest_windows_are_inclusive(api: Api, accounts: list[str]) -> None:
    """30 days by day and 365 in sum are still allowed."""
    assert api.report(accounts[0], dimensions=["ad_id", "stat_time_day"], **DAILY)["code"] == 0
    year: dict[str, Any] = {"start_date": "2025-11-10", "end_date": "2026-11-09"}
    assert api.report(accounts[0], **year)["code"] == 0


@pytest.mark.parametrize("account", [0, 1, 2])
@pytest.mark.parametrize("window", [LIFE, DAILY, DAILY | {"by_day": True}])
def test_additive_metrics_agree_between_levels(
    api: Api, accounts: list[str], account: int, window: dict[str, Any]
) -> None:
    """Spend, counts and the like are the same exact sum at every level; reach is not addable."""
    names = [name for name in NUMERIC if is_additive(name) and name != "voucher_spend"]
    by_day = window.get("by_day")
    sums, reach = [], []
    for level in LEVELS:
        dimensions = [ID_OF[level], "stat_time_day"] if by_day else [ID_OF[level]]
        asked = {key: value for key, value in window.items() if key != "by_day"}
        rows = api.rows(accounts[account], level, dimensions=dimensions, metrics=[*names, "reach"], **asked)
        sums.append({name: total(rows, name) for name in names})
        reach.append(sum(int(row["metrics"]["reach"]) for row in rows if row["metrics"]["reach"] != "-"))
    assert sums[0]["spend"] > 0
    assert [sums[0]] * 4 == sums
    assert sorted(reach, reverse=True) == reach  # LEVELS goes from the finest to the coarsest
    assert reach[0] > reach[-1]


@pytest.mark.parametrize("level", LEVELS)
def test_reports_tell_the_truth(api: Api, accounts: list[str], level: str) -> None:
    """With STATUS_ALL every daily row is the world's fact, and no fact is missing."""
    names = ["spend", "impressions", "conversion", "cpc", "ctr", "reach", "frequency"]
    rows = api.rows(accounts[1], level, dimensions=[ID_OF[level], "stat_time_day"], metrics=names, **DAILY)
    kind = {"AUCTION_AD": "ad", "AUCTION_ADGROUP": "ad_group", "AUCTION_CAMPAIGN": "campaign"}
    dates = f"start_date={DAILY['start_date']}&end_date={DAILY['end_date']}"
    query = f"level={kind.get(level, 'advertiser')}&advertiser_id={accounts[1]}&{dates}"
    truth = api.control("GET", f"truth/report?{query}")
    told = {(row["id"], row["date"]): {name: row["metrics"][name] for name in names} for row in truth}
    found = {
        (row["dimensions"][ID_OF[level]], row["dimensions"]["stat_time_day"][:10]): row["metrics"] for row in rows
    }
    assert told == found


def test_zero_rows(api: Api, accounts: list[str]) -> None:
    """By day an entity without data has no row; without a time dimension it reads zero."""
    review = [condition("ad_status", "IN", ["AD_STATUS_AUDIT"])]
    by_day = api.report(accounts[0], dimensions=["ad_id", "stat_time_day"], filtering=review, **DAILY)
    assert by_day["data"]["list"] == []
    (row,) = api.report(accounts[0], filtering=review, **DAILY)["data"]["list"]
    assert row["metrics"] == {"spend": "0.00", "impressions": "0"}


def test_days_after_now_have_no_rows(api: Api, accounts: list[str]) -> None:
    """Asking for the future is allowed and empty."""
    body = api.report(
        accounts[0], dimensions=["ad_id", "stat_time_day"], start_date="2026-11-10", end_date="2026-12-09"
    )
    assert (body["code"], body["data"]["list"]) == (0, [])


def test_values_are_text(api: Api, accounts: list[str]) -> None:
    """Ids, days and every metric are text; yen have no decimals; the account's id is not echoed unasked."""
    asked: dict[str, Any] = {
        "dimensions": ["ad_id", "stat_time_day"],
        "metrics": ["spend", "clicks", "ad_name", "campaign_id"],
    }
    row = api.report(accounts[1], **asked, **DAILY)["data"]["list"][0]
    assert {"ad_id", "stat_time_day"} == set(row["dimensions"])
    assert row["dimensions"]["stat_time_day"].endswith(" 00:00:00")
    assert {str} == {type(value) for value in row["metrics"].values()}
    assert row["metrics"]["spend"].isdigit()
    (account,) = api.report(accounts[1], "AUCTION_ADVERTISER", metrics=["advertiser_id"], **LIFE)["data"]["list"]
    assert accounts[1] == account["dimensions"]["advertiser_id"] == account["metrics"]["advertiser_id"]


@pytest.mark.parametrize("quote", [True, False])
def test_id_filters_take_quoted_and_bare_ids(api: Api, accounts: list[str], quote: bool) -> None:
    """The text of a filter value may hold ids with or without quotes."""
    story = api.sandbox.world.scenario
    assert story
    value = f'["{story.campaign_id}"]' if quote else f"[{story.campaign_id}]"
    rows = api.report(
        accounts[0], metrics=["campaign_id"], filtering=[condition("campaign_ids", "IN", value)], **LIFE
    )
    assert {story.campaign_id} == {row["metrics"]["campaign_id"] for row in rows["data"]["list"]}


def test_metric_and_name_filters(api: Api, accounts: list[str]) -> None:
    """Rows can be chosen by a metric, a name and a creation time."""
    asked = [
        condition("spend", "GREATER_THAN", "100"),
        condition("ad_name", "CONTAIN_ANY_OF", ["story", "unboxing"]),
        condition("create_time", "LOWER_THAN", "2026-11-01 00:00:00"),
    ]
    rows = api.report(accounts[0], metrics=["spend", "ad_name"], filtering=asked, **LIFE)["data"]["list"]
    assert rows
    for row in rows:
        assert Decimal(row["metrics"]["spend"]) > 100
        assert any(word in row["metrics"]["ad_name"].casefold() for word in ("story", "unboxing"))


@pytest.mark.parametrize("order", ["ASC", "DESC"])
def test_order(api: Api, accounts: list[str], order: str) -> None:
    """Rows follow the order asked for, as numbers; unasked, the order is stable."""
    rows = api.rows(accounts[0], order_field="spend", order_type=order, **LIFE)
    spend = [Decimal(row["metrics"]["spend"]) for row in rows]
    assert sorted(spend, reverse=order == "DESC") == spend
    assert api.rows(accounts[0], **LIFE) == api.rows(accounts[0], **LIFE)


@pytest.mark.parametrize("page_size", [1, 7, 100])
def test_report_pages_are_the_whole(api: Api, accounts: list[str], page_size: int) -> None:
    """The pages of a report together are the report."""
    asked: dict[str, Any] = {
        "dimensions": ["campaign_id", "stat_time_day"],
        "start_date": "2026-11-01",
        "end_date": "2026-11-09",
    }
    whole = api.report(accounts[0], "AUCTION_CAMPAIGN", **asked)["data"]["list"]
    seen: list[dict[str, Any]] = []
    for page in range(1, -(-len(whole) // page_size) + 1):
        seen += api.report(accounts[0], "AUCTION_CAMPAIGN", **asked, page=page, page_size=page_size)["data"][
            "list"
        ]
    assert whole == seen


def test_hours_add_up_to_the_day(api: Api, accounts: list[str]) -> None:
    """The hours of a day, the 25-hour one too, are exactly the day."""
    for day in ("2026-11-01", "2026-11-05"):
        window: dict[str, Any] = {"start_date": day, "end_date": day, "metrics": ["spend", "clicks", "likes"]}
        hours = api.rows(accounts[0], dimensions=["ad_id", "stat_time_hour"], **window)
        days = api.rows(accounts[0], dimensions=["ad_id", "stat_time_day"], **window)
        for name in ("spend", "clicks", "likes"):
            assert total(hours, name) == total(days, name) > 0


def test_voucher_only_daily_at_the_account(api: Api, accounts: list[str]) -> None:
    """Cash and voucher spend exist at account level by day, and together are the spend."""
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
    """`enable_total_metrics` adds the sum, with attributes as "-"."""
    body = api.report(accounts[0], metrics=["spend", "ad_name"], enable_total_metrics=True, **LIFE)["data"]
    assert {"spend": str(total(body["list"], "spend")), "ad_name": "-"} == body["total_metrics"]


def test_truncation_shows_in_a_header(api: Api, accounts: list[str]) -> None:
    """Past the cap only the newest ads are considered, code 0, and a header tells."""
    api.control("POST", "switches", max_report_ads=3)
    try:
        params = {
            "advertiser_id": accounts[0],
            "report_type": "BASIC",
            "data_level": "AUCTION_AD",
            "dimensions": '["ad_id"]',
            "query_lifetime": "true",
        }
        answer = api.http.get(
            "/open_api/v1.3/report/integrated/get/", params=params, headers={"Access-Token": api.sandbox.token}
        )
    finally:
        api.control("POST", "switches", max_report_ads=20_000)
    assert len(answer.json()["data"]["list"]) == 3
    assert "X-Tt-Ads-Throttle" in answer.headers
