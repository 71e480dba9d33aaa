"""Laws of the world: the story, determinism, restatement, local days."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from tiktok_assets.sandbox.world.facts import Facts
from tiktok_assets.sandbox.world.generator import build_world
from tiktok_assets.sandbox.world.ground_truth import GroundTruth
from tiktok_assets.sandbox.world.local_days import local_day
from tiktok_assets.sandbox.world.model import DEFAULT_ANCHOR, WorldPlan, epoch_seconds
from tiktok_assets_tests.sandbox.conftest import Api

Leaders = dict[str, list[tuple[Decimal, str]]]


def leaders(truth: GroundTruth, now: datetime) -> Leaders:
    """Return each campaign's ads by lifetime spend, the largest first."""
    ranked: Leaders = {}
    for advertiser in truth.world.advertisers.values():
        campaign_of = {ad.id: ad.campaign.id for ad in advertiser.ads}
        for row in truth.report("ad", epoch_seconds(now), advertiser.id, None):
            ranked.setdefault(campaign_of[row["id"]], []).append((Decimal(row["metrics"]["spend"]), row["id"]))
    return {campaign: sorted(ads, reverse=True) for campaign, ads in ranked.items()}


@pytest.mark.parametrize(
    ("seed", "anchor"),
    [
        (7, DEFAULT_ANCHOR),
        (1, DEFAULT_ANCHOR - timedelta(days=40, hours=9)),
        (23, DEFAULT_ANCHOR.replace(hour=8)),
    ],
)
def test_exactly_one_leader_changes(seed: int, anchor: datetime) -> None:
    """Between T1 and T2 the story's campaign changes its leader, by at least 15 %, and no other does."""
    world = build_world(WorldPlan(seed=seed, anchor=anchor, advertisers=7))
    story, truth = world.scenario, GroundTruth(world, Facts(world))
    assert story
    before, after = leaders(truth, story.t1), leaders(truth, story.t2)
    changed = [campaign for campaign in after if before[campaign][0][1] != after[campaign][0][1]]
    assert [story.campaign_id] == changed
    assert story.old_leader_ad_id == before[story.campaign_id][0][1]
    (spend, winner), (second, _) = after[story.campaign_id][:2]
    assert story.new_leader_ad_id == winner
    assert spend >= second * Decimal("1.15")
    assert spend > 500
    scaling = next(
        one for one in world.advertisers[story.advertiser_id].campaigns if one.name.startswith("Scaling")
    )
    assert story.scaling_campaign_id == scaling.id
    assert after[scaling.id][0][0] > 0


def test_the_story_over_http(api: Api) -> None:
    """/sandbox/info tells the story, and the reports at its two instants bear it out."""
    story = api.control("GET", "info")["story"]
    spends = []
    for moment in ("t1", "t2"):
        api.control("POST", "clock", now=story[moment])
        rows = api.rows(story["advertiser_id"], query_lifetime=True)
        spend = {row["dimensions"]["ad_id"]: Decimal(row["metrics"]["spend"]) for row in rows}
        spends.append((spend[story["old_leader_ad_id"]], spend[story["new_leader_ad_id"]]))
    (old_1, new_1), (old_2, new_2) = spends
    assert old_1 > new_1
    assert new_2 > old_2
    (ad,) = api.get(
        "ad/get", advertiser_id=story["advertiser_id"], filtering={"ad_ids": [story["new_leader_ad_id"]]}
    )["data"]["list"]
    assert (
        ad["secondary_status"],
        ad["ad_format"],
        ad["campaign_automation_type"],
    ) == ("AD_STATUS_DELIVERY_OK", "SINGLE_VIDEO", "MANUAL")


def test_equal_plans_are_equal_worlds() -> None:
    """The same plan gives the same facts; another seed gives others."""
    told = []
    for seed in (3, 3, 4):
        world = build_world(WorldPlan(seed=seed))
        account = next(iter(world.advertisers))
        told.append(
            (
                world.token,
                GroundTruth(world, Facts(world)).report("ad", epoch_seconds(DEFAULT_ANCHOR), account, None),
            )
        )
    assert told[0] == told[1]
    assert told[0] != told[2]


def test_going_back_in_time_tells_the_same(api: Api, accounts: list[str]) -> None:
    """Facts depend on the clock alone: after a journey they are what they were."""
    first = api.rows(accounts[0], query_lifetime=True)
    api.control("POST", "clock", advance_seconds=3 * 86_400)
    later = api.rows(accounts[0], query_lifetime=True)
    api.control("POST", "clock", now=DEFAULT_ANCHOR.isoformat())
    assert first == api.rows(accounts[0], query_lifetime=True)
    assert first != later


def day_of(api: Api, account: str, day: str, now: datetime, *metrics: str) -> dict[str, Any]:
    """Return the account's metrics of one day, as known at an instant."""
    api.sandbox.clock.set(now)
    (row,) = api.rows(
        account,
        "AUCTION_ADVERTISER",
        dimensions=["stat_time_day"],
        start_date=day,
        end_date=day,
        metrics=list(metrics),
    )
    metrics_of: dict[str, Any] = row["metrics"]
    return metrics_of


def test_conversions_keep_rising_for_up_to_28_days(api: Api, accounts: list[str]) -> None:
    """Conversions by interaction day never fall and settle by day 28; those by conversion day settle at once."""
    end = datetime(2026, 9, 20, 7, tzinfo=UTC)
    asked = ("conversion", "real_time_conversion", "spend", "clicks")
    known = [
        day_of(api, accounts[0], "2026-09-19", end + timedelta(days=n), *asked) for n in (1, 3, 7, 14, 28, 40)
    ]
    rising = [int(one["conversion"]) for one in known]
    assert sorted(rising) == rising
    assert rising[0] < rising[2] < rising[4] == rising[5]
    for name in asked[1:]:
        assert len({one[name] for one in known}) == 1


def test_spend_is_corrected_after_noon_utc(api: Api, accounts: list[str]) -> None:
    """Spend moves slightly at 12:00 UTC of the next day and at no other time."""
    asked = (accounts[1], "2026-10-20")  # Tokyo's day ends at 15:00 UTC
    times = [datetime(2026, 10, day, hour, tzinfo=UTC) for day, hour in ((20, 16), (21, 11), (21, 12), (25, 3))]
    first, before, after, later = (int(day_of(api, *asked, now, "spend")["spend"]) for now in times)
    assert first == before
    assert after == later
    assert 0 < abs(after - before) < after * 0.02


def test_reach_is_sixteen_hours_late(api: Api, accounts: list[str]) -> None:
    """Reach and what follows from it read "-" until 16 hours after the local day's end."""
    late = ("reach", "frequency", "cost_per_1000_reached")
    end = datetime(2026, 10, 20, 15, tzinfo=UTC)
    early = day_of(api, accounts[1], "2026-10-20", end + timedelta(hours=15, minutes=59), *late, "impressions")
    assert [early[name] for name in late] == ["-"] * 3
    assert int(early["impressions"]) > 0
    assert "-" not in day_of(api, accounts[1], "2026-10-20", end + timedelta(hours=16), *late).values()


def test_today_grows_by_the_hour(api: Api, accounts: list[str]) -> None:
    """A day under way shows only its elapsed hours, and within an hour nothing moves."""
    start = datetime(2026, 11, 9, 8, tzinfo=UTC)  # midnight in Los Angeles
    asked = (accounts[0], "2026-11-09")
    spend = [
        Decimal(day_of(api, *asked, start + timedelta(minutes=m), "spend")["spend"]) for m in (120, 179, 360, 1380)
    ]
    assert spend[0] == spend[1] < spend[2] < spend[3]


@pytest.mark.parametrize(
    ("zone", "day", "hours"),
    [
        ("America/Los_Angeles", "2026-11-01", 25),
        ("Europe/Berlin", "2026-10-25", 25),
        ("Europe/Berlin", "2026-03-29", 23),
        ("Asia/Tokyo", "2026-10-25", 24),
    ],
)
def test_days_are_local(zone: str, day: str, hours: int) -> None:
    """A day is the account's calendar day, with 23 or 25 hours where clocks change."""
    found = local_day(ZoneInfo(zone), datetime.fromisoformat(day).toordinal())
    assert hours == len(found.hour_labels)
    assert hours * 3600 == found.end - found.start


def test_a_day_begins_at_local_midnight(api: Api, accounts: list[str]) -> None:
    """At one instant Tokyo may have today's row where Los Angeles is still in yesterday."""
    api.sandbox.clock.set(datetime(2026, 11, 8, 20, tzinfo=UTC))
    found = []
    for account in (accounts[0], accounts[1]):
        rows = api.rows(
            account,
            "AUCTION_ADVERTISER",
            dimensions=["stat_time_day"],
            start_date="2026-11-09",
            end_date="2026-11-09",
        )
        found.append(len(rows))
    assert found == [0, 1]


def test_dense_worlds_deliver_everywhere() -> None:
    """In a dense world every ad delivers on every day."""
    world = build_world(WorldPlan(advertisers=1, campaigns=2, ad_groups=4, ads=40, dense=True, days=61))
    account = next(iter(world.advertisers))
    last = DEFAULT_ANCHOR.date() - timedelta(days=1)
    window = (last - timedelta(days=59), last)
    rows = GroundTruth(world, Facts(world)).report("ad", epoch_seconds(DEFAULT_ANCHOR), account, window)
    assert len(rows) == 40 * 60
    assert world.scenario is None


@pytest.mark.parametrize(
    "wrong", [{"days": 30}, {"ads": 0}, {"anchor": DEFAULT_ANCHOR.replace(tzinfo=None)}], ids=str
)
def test_bad_plans_are_refused(wrong: dict[str, Any]) -> None:
    """A plan that cannot be built is refused in a sentence."""
    with pytest.raises(ValueError, match="WorldPlan"):
        WorldPlan(**wrong)
