"""Tests of the world: the leader change, determinism, restatement and local days."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from tiktok_assets.sandbox.world.facts import Facts, sum_over_ads, sum_over_days
from tiktok_assets.sandbox.world.generator import build_world
from tiktok_assets.sandbox.world.ground_truth import GroundTruth
from tiktok_assets.sandbox.world.local_days import local_day
from tiktok_assets.sandbox.world.model import DEFAULT_ANCHOR, WorldPlan, epoch_seconds
from tiktok_assets_tests.sandbox.conftest import Api

Leaders = dict[str, list[tuple[Decimal, str]]]


def leaders(truth: GroundTruth, now: datetime) -> Leaders:
    """Return (lifetime spend, ad id) of each campaign's ads, the largest spend first."""
    ranked: Leaders = {}
    for advertiser in truth.world.advertisers.values():
        campaign_of = {ad.id: ad.campaign.id for ad in advertiser.ads}
        for row in truth.report("ad", epoch_seconds(now), advertiser.id, None):
            ranked.setdefault(campaign_of[row["id"]], []).append((Decimal(row["metrics"]["spend"]), row["id"]))
    return {campaign: sorted(ads, reverse=True) for campaign, ads in ranked.items()}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("seed", "anchor"),
    [
        (7, DEFAULT_ANCHOR),
        (1, DEFAULT_ANCHOR - timedelta(days=40, hours=9)),
        (23, DEFAULT_ANCHOR.replace(hour=8)),
    ],
)
def test_exactly_one_leader_changes(seed: int, anchor: datetime) -> None:
    """Between t1 and t2 exactly the scenario's campaign changes its leader, with a lead of at least 15 %."""
    world = build_world(WorldPlan(seed=seed, anchor=anchor, advertisers=7))
    scenario, truth = world.scenario, GroundTruth(world, Facts(world))
    assert scenario
    before, after = leaders(truth, scenario.t1), leaders(truth, scenario.t2)
    changed = [campaign for campaign in after if before[campaign][0][1] != after[campaign][0][1]]
    assert [scenario.campaign_id] == changed
    assert scenario.old_leader_ad_id == before[scenario.campaign_id][0][1]
    (spend, winner), (second, _) = after[scenario.campaign_id][:2]
    assert scenario.new_leader_ad_id == winner
    assert spend >= second * Decimal("1.15")
    assert spend > 500
    scaling = next(
        one for one in world.advertisers[scenario.advertiser_id].campaigns if one.name.startswith("Scaling")
    )
    assert scenario.scaling_campaign_id == scaling.id
    assert after[scaling.id][0][0] > 0


def test_leader_change_over_http(api: Api) -> None:
    """The reports at the two instants of /sandbox/info show the leader change."""
    scenario = api.control("GET", "info")["story"]
    spends = []
    for moment in ("t1", "t2"):
        api.control("POST", "clock", now=scenario[moment])
        rows = api.rows(scenario["advertiser_id"], query_lifetime=True)
        spend = {row["dimensions"]["ad_id"]: Decimal(row["metrics"]["spend"]) for row in rows}
        spends.append((spend[scenario["old_leader_ad_id"]], spend[scenario["new_leader_ad_id"]]))
    (old_1, new_1), (old_2, new_2) = spends
    assert old_1 > new_1
    assert new_2 > old_2
    (ad,) = api.get(
        "ad/get", advertiser_id=scenario["advertiser_id"], filtering={"ad_ids": [scenario["new_leader_ad_id"]]}
    )["data"]["list"]
    assert (
        ad["secondary_status"],
        ad["ad_format"],
        ad["campaign_automation_type"],
    ) == ("AD_STATUS_DELIVERY_OK", "SINGLE_VIDEO", "MANUAL")


def test_equal_plans_give_equal_worlds() -> None:
    """Equal plans give equal facts, and another seed gives others."""
    results = []
    for seed in (3, 3, 4):
        world = build_world(WorldPlan(seed=seed))
        account = next(iter(world.advertisers))
        results.append(
            (
                world.token,
                GroundTruth(world, Facts(world)).report("ad", epoch_seconds(DEFAULT_ANCHOR), account, None),
            )
        )
    assert results[0] == results[1]
    assert results[0] != results[2]


def test_facts_depend_only_on_the_clock(api: Api, accounts: list[str]) -> None:
    """Facts depend only on the clock's instant: they are the same after the clock was moved and set back."""
    first = api.rows(accounts[0], query_lifetime=True)
    api.control("POST", "clock", advance_seconds=3 * 86_400)
    later = api.rows(accounts[0], query_lifetime=True)
    api.control("POST", "clock", now=DEFAULT_ANCHOR.isoformat())
    assert first == api.rows(accounts[0], query_lifetime=True)
    assert first != later


def test_lifetime_is_the_sum_of_its_days() -> None:
    """At any instant, also an earlier one, and after a write, the lifetime of ads is the sum of their days."""
    world = build_world(WorldPlan(seed=3, advertisers=1))
    facts, account = Facts(world), next(iter(world.advertisers.values()))
    now = epoch_seconds(DEFAULT_ANCHOR)
    for number, seconds in enumerate((0, 5_000, 86_400, 40 * 86_400, 3_600, -20 * 86_400, 10 * 86_400)):
        if number == 3:
            ad = account.campaigns[0].ad_groups[0].ads[0]
            ad.status_changes += [(now - 5 * 86_400, False), (now + 86_400, True)]
            world.version += 1
        for ads in (*([ad] for ad in account.ads), *(group.ads for group in account.ad_groups), account.ads):
            ordinals = sorted({ordinal for ad in ads for ordinal in facts.possible_days(ad, now + seconds)})
            days = [[facts.day(ad, ordinal, now + seconds) for ad in ads] for ordinal in ordinals]
            known = [[vector for vector in day if vector is not None] for day in days]
            sums = [sum_over_ads(day) for day in known if day]
            assert facts.lifetime(ads, now + seconds) == (sum_over_days(sums) if sums else None)


def day_of(api: Api, account: str, day: str, now: datetime, *metrics: str) -> dict[str, Any]:
    """Return an account's metrics of one day as known at an instant."""
    api.sandbox.clock.set(now)
    (row,) = api.rows(
        account,
        "AUCTION_ADVERTISER",
        dimensions=["stat_time_day"],
        start_date=day,
        end_date=day,
        metrics=list(metrics),
    )
    values: dict[str, Any] = row["metrics"]
    return values


def test_conversions_grow_for_up_to_28_days(api: Api, accounts: list[str]) -> None:
    """Conversions by day of interaction grow until day 28; those by day of conversion do not change."""
    end = datetime(2026, 9, 20, 7, tzinfo=UTC)
    names = ("conversion", "real_time_conversion", "spend", "clicks")
    known = [
        day_of(api, accounts[0], "2026-09-19", end + timedelta(days=n), *names) for n in (1, 3, 7, 14, 28, 40)
    ]
    rising = [int(one["conversion"]) for one in known]
    assert sorted(rising) == rising
    assert rising[0] < rising[2] < rising[4] == rising[5]
    for name in names[1:]:
        assert len({one[name] for one in known}) == 1


def test_spend_is_corrected_after_noon_utc(api: Api, accounts: list[str]) -> None:
    """Spend is corrected slightly at 12:00 UTC of the next day and at no other time."""
    day = (accounts[1], "2026-10-20")  # Tokyo's day ends at 15:00 UTC
    times = [datetime(2026, 10, day, hour, tzinfo=UTC) for day, hour in ((20, 16), (21, 11), (21, 12), (25, 3))]
    first, before, after, later = (int(day_of(api, *day, now, "spend")["spend"]) for now in times)
    assert first == before
    assert after == later
    assert 0 < abs(after - before) < after * 0.02


def test_reach_is_sixteen_hours_late(api: Api, accounts: list[str]) -> None:
    """Reach and metrics that depend on it are "-" until 16 hours after the local day's end."""
    late = ("reach", "frequency", "cost_per_1000_reached")
    end = datetime(2026, 10, 20, 15, tzinfo=UTC)
    early = day_of(api, accounts[1], "2026-10-20", end + timedelta(hours=15, minutes=59), *late, "impressions")
    assert [early[name] for name in late] == ["-"] * 3
    assert int(early["impressions"]) > 0
    assert "-" not in day_of(api, accounts[1], "2026-10-20", end + timedelta(hours=16), *late).values()


def test_current_day_grows_by_the_hour(api: Api, accounts: list[str]) -> None:
    """The current day has only its elapsed hours, and does not change within an hour."""
    start = datetime(2026, 11, 9, 8, tzinfo=UTC)  # midnight in Los Angeles
    day = (accounts[0], "2026-11-09")
    spend = [
        Decimal(day_of(api, *day, start + timedelta(minutes=m), "spend")["spend"]) for m in (120, 179, 360, 1380)
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
    """A day is a local calendar day, of 23 or 25 hours when daylight saving time changes."""
    local = local_day(ZoneInfo(zone), datetime.fromisoformat(day).toordinal())
    assert hours == len(local.hour_labels)
    assert hours * 3600 == local.end - local.start


def test_day_begins_at_local_midnight(api: Api, accounts: list[str]) -> None:
    """A day has rows in Tokyo while it has not begun in Los Angeles."""
    api.sandbox.clock.set(datetime(2026, 11, 8, 20, tzinfo=UTC))
    counts = []
    for account in (accounts[0], accounts[1]):
        rows = api.rows(
            account,
            "AUCTION_ADVERTISER",
            dimensions=["stat_time_day"],
            start_date="2026-11-09",
            end_date="2026-11-09",
        )
        counts.append(len(rows))
    assert counts == [0, 1]


def test_dense_world_delivers_every_day() -> None:
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
def test_invalid_plans_are_refused(wrong: dict[str, Any]) -> None:
    """An invalid plan raises ValueError."""
    with pytest.raises(ValueError, match="WorldPlan"):
        WorldPlan(**wrong)
