"""Laws of an account that changes its time zone or its currency."""

from decimal import Decimal
from typing import Any

import pytest

from tiktok_assets.sandbox.plan import WorldPlan
from tiktok_assets_tests.api.conftest import Host

PLAN = WorldPlan(dense=True, days=10, advertisers=3, campaigns=1, ad_groups=1, ads=2)


def spends(host: Host, owner: str) -> dict[str, Decimal]:
    """The account's spend by day, as the world has it."""
    day = {"start_date": "2026-10-30", "end_date": "2026-11-08"}
    rows = host.truth("report", level="advertiser", advertiser_id=owner, **day)
    return {row["date"]: Decimal(row["metrics"]["spend"]) for row in rows}


def account(host: Host, owner: str) -> dict[str, Any]:
    """What `info` tells of an account."""
    (found,) = [one for one in host.control("GET", "info")["advertisers"] if one["advertiser_id"] == owner]
    return dict(found)


def test_a_new_currency_converts_and_leaves_the_others() -> None:
    """From dollars to yen every amount is about a hundred and fifty times as large, and has no decimals."""
    with Host.run(PLAN) as host:
        first, other, _ = host.advertiser_ids
        before, others = spends(host, first), spends(host, other)
        host.control("POST", "accounts", advertiser_id=first, currency="JPY")
        assert account(host, first)["currency"] == "JPY"
        after = spends(host, first)
        assert after.keys() == before.keys()
        assert all(Decimal(145) < after[day] / before[day] < Decimal(155) for day in before)
        assert all(amount == amount.to_integral_value() for amount in after.values())
        assert spends(host, other) == others


def test_a_new_zone_cuts_the_days_anew() -> None:
    """In Tokyo the world's evening is the next day already, and has delivery of its own."""
    with Host.run(PLAN) as host:
        owner = host.advertiser_ids[0]
        before = host.truth(
            "report", level="advertiser", advertiser_id=owner, start_date="2026-11-10", end_date="2026-11-10"
        )
        assert before == []
        host.control("POST", "accounts", advertiser_id=owner, timezone="Asia/Tokyo")
        told = account(host, owner)
        assert (told["timezone"], told["display_timezone"], told["currency"]) == (
            "Asia/Tokyo",
            "Asia/Tokyo",
            "USD",
        )
        after = host.truth(
            "report", level="advertiser", advertiser_id=owner, start_date="2026-11-10", end_date="2026-11-10"
        )
        assert len(after) == 1


@pytest.mark.parametrize(
    "wrong", [{"timezone": "Mars/Base"}, {"currency": "XXX"}, {"timezone": "../etc"}], ids=str
)
def test_an_unknown_zone_or_currency_changes_nothing(wrong: dict[str, str]) -> None:
    """It is a 400 with a sentence."""
    with Host.run(PLAN) as host:
        owner = host.advertiser_ids[0]
        before = account(host, owner)
        answer = host.http.post("accounts", json={"advertiser_id": owner, **wrong})
        assert answer.status_code == 400
        assert answer.json()["error"]
        assert account(host, owner) == before
