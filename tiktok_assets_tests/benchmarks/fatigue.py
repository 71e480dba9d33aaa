"""Measure how many planted declines of creatives are found, and how often noise is taken for one.

Once on simulated days whose rates vary more than chance alone, and once on the truth of sandboxes; both with fixed
seeds. Each creative counts once, as it is told once. `python -m tiktok_assets_tests.benchmarks.fatigue` writes the
figures between the marks of docs/fatigue.md.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from statistics import median

import polars as pl

from tiktok_assets.creatives.columns import CREATIVE_DAILY_SCHEMA
from tiktok_assets.creatives.fatigue import Thresholds, find_declines
from tiktok_assets.sandbox.world.ad_delivery import POSITION
from tiktok_assets.sandbox.world.facts import Facts
from tiktok_assets.sandbox.world.generator import build_world
from tiktok_assets.sandbox.world.model import Ad, Wear, WorldPlan, epoch_seconds
from tiktok_assets.settings import load_settings
from tiktok_assets_tests.benchmarks.figure import Figure, number
from tiktok_assets_tests.creatives.noisy_days import LAST, Loss, Noise, simulate_account

PAGE = Path(__file__).parents[2] / "docs" / "fatigue.md"
BEGIN, END = "<!-- figures: begin -->", "<!-- figures: end -->"

SIMULATED, SANDBOX = "Worn-out creatives, simulated", "Worn-out creatives, on the truth of the sandbox"

NOISES = {
    "rates vary by 5 % (hook) and 10 % (click) a day": Noise(hook_variation=0.05, click_variation=0.1),
    "by 10 % and 20 %": Noise(),
    "by 15 % and 30 %": Noise(hook_variation=0.15, click_variation=0.3),
    "by 10 % and 20 %, half of it kept to the next day": Noise(persistence=0.5),
    "by 10 % and 20 %, 80 % of it kept to the next day": Noise(persistence=0.8),
}
IMPRESSIONS, LOSSES = (1000, 5000, 20_000), (0.15, 0.25, 0.35, 0.5)
CREATIVES, ACCOUNTS, HISTORY, MONTH = 12, 40, 90, 30
PLANTED_CENTS = 6000
"""What an ad that wears out spends a day: enough for TIKTOK_FATIGUE_MIN_SPEND."""

WORLDS, SEEDED_LOSSES, SANDBOX_DAYS_BEFORE = 30, (250, 350, 500, 700), 28

MAX_FALSE_ALARMS, MIN_FOUND = 0.1, 95.0


def figures() -> Iterator[Figure]:
    """Yield false alarms per account and month, and the share of planted declines that was found."""
    thresholds = Thresholds.from_settings(load_settings())
    for name, noise in NOISES.items():
        alarms = [
            len(_watch(simulate_account(seed, CREATIVES, HISTORY + MONTH, noise), LAST, thresholds))
            for seed in range(ACCOUNTS)
        ]
        yield _count_alarms(SIMULATED, f"false alarms, {name}", alarms, f"{CREATIVES} creatives in an account")
    for impressions in IMPRESSIONS:
        for part in LOSSES:
            found = [_find_planted(seed, impressions, part, thresholds) for seed in range(ACCOUNTS)]
            what = f"found within four weeks: {part:.0%} lost, {impressions:,} impressions a day"
            is_aim = part == max(LOSSES) and impressions == max(IMPRESSIONS)
            yield from _count_found(SIMULATED, what, found, MIN_FOUND if is_aim else None)
    yield from _sandbox_figures(thresholds)


def _find_planted(seed: int, impressions: int, part: float, thresholds: Thresholds) -> int | None:
    """Return how many days after its begin a planted decline is found; None if it is not within the month."""
    loss = Loss(part=part, since=MONTH - 2, days=7)
    noise = Noise(impressions=impressions, persistence=0.3)
    days = simulate_account(seed, CREATIVES - 1, HISTORY + MONTH, noise, {"worn": loss})
    found = _watch(days, LAST, thresholds, until=lambda names: "worn" in names).get("worn")
    return None if found is None else (found - (LAST - timedelta(loss.since))).days + 1


def _sandbox_figures(thresholds: Thresholds) -> Iterator[Figure]:
    found: dict[int, list[int | None]] = {loss: [] for loss in SEEDED_LOSSES}
    alarms = []
    for seed in range(1, WORLDS + 1):
        days, planted, last = build_worn_world(seed)
        told = _watch(days, last, thresholds)
        began = last - timedelta(SANDBOX_DAYS_BEFORE - 1)
        alarms.append(len(told.keys() - planted.keys()))
        for creative_id, loss in planted.items():
            on = told.get(creative_id)
            found[loss].append(None if on is None else (on - began).days + 1)
    yield _count_alarms(SANDBOX, "false alarms, other ads", alarms, "rates vary by 11 % (hook) and 29 % (click)")
    for loss, ones in found.items():
        is_aim = loss == max(SEEDED_LOSSES)
        what = f"found within four weeks: {loss / 1000:.0%} lost"
        yield from _count_found(SANDBOX, what, ones, MIN_FOUND if is_aim else None)


def build_worn_world(seed: int) -> tuple[pl.DataFrame, dict[str, int], date]:
    """Build a world with four ads that wear out; return its days, their losses, and the last complete day."""
    world = build_world(WorldPlan(seed=seed, advertisers=1, smart_plus=False, days=120))
    (advertiser,) = world.advertisers.values()
    now = epoch_seconds(world.plan.anchor)
    steady = [
        ad
        for ad in advertiser.ads
        if not (ad.spend_script or ad.in_review or ad.deleted or ad.paused or ad.ad_group.deleted)
        and not (ad.ad_group.paused or ad.campaign.paused or ad.campaign.deleted)
        and ad.created < now - 60 * 86_400
    ]
    steady.sort(key=lambda ad: -ad.daily_target)
    planted = {}
    for ad, loss in zip(steady, SEEDED_LOSSES, strict=False):
        ad.fatigue, ad.never_idle, ad.wear = 0, True, Wear(since=SANDBOX_DAYS_BEFORE, days=7, loss=loss)
        ad.daily_target, ad.daily_cap = PLANTED_CENTS, 2 * PLANTED_CENTS
        planted[ad.id] = loss
    last = world.plan.anchor.astimezone(advertiser.zone).date() - timedelta(1)
    facts = Facts(world)
    rows = [row for ad in advertiser.ads for row in _list_days(facts, ad, now, last)]
    return pl.DataFrame(rows, CREATIVE_DAILY_SCHEMA), planted, last


def _list_days(facts: Facts, ad: Ad, now: int, last: date) -> Iterator[dict[str, object]]:
    currency = ad.campaign.advertiser.currency
    for ordinal in facts.possible_days(ad, now):
        vector = facts.day(ad, ordinal, now)
        if vector is None or ordinal > last.toordinal():
            continue
        yield {
            "advertiser_id": ad.campaign.advertiser.id,
            "creative_id": ad.id,
            "creative_kind": "video",
            "date": date.fromordinal(ordinal),
            "currency": "USD",
            "ads": 1,
            "spend": Decimal(vector[POSITION["spend"]]) / currency.minor_per_unit,
            **{name: vector[POSITION[name]] for name in ("impressions", "clicks", "video_watched_2s")},
        }


def _watch(
    days: pl.DataFrame,
    last: date,
    thresholds: Thresholds,
    until: Callable[[dict[str, date]], bool] = lambda _: False,
) -> dict[str, date]:
    """Search every morning of a month, and return by creative the day on which it was first found."""
    told: dict[str, date] = {}
    for back in reversed(range(MONTH)):
        day = last - timedelta(back)
        for decline in find_declines(days.filter(pl.col("date") <= day), day, thresholds):
            told.setdefault(decline.creative_id, day)
        if until(told):
            break
    return told


def _count_alarms(topic: str, what: str, alarms: Sequence[int], note: str) -> Figure:
    return Figure(
        topic,
        what,
        sum(alarms) / len(alarms),
        "per account and month",
        MAX_FALSE_ALARMS,
        note=f"{note}, {len(alarms)} months",
    )


def _count_found(topic: str, what: str, found: Sequence[int | None], target: float | None) -> Iterator[Figure]:
    days = [one for one in found if one is not None]
    when = f", after {median(days):.0f} days" if days else ""
    share = 100 * len(days) / len(found)
    yield Figure(topic, what, share, "%", target, at_least=True, note=f"of {len(found)}{when}")


def page_part(found: Sequence[Figure]) -> str:
    """Render the figures for the page, a table for each topic."""
    lines = [BEGIN, ""]
    for topic in dict.fromkeys(one.topic for one in found):
        lines += [f"### {topic}", "", "| what | measured | from |", "|---|---:|---|"]
        lines += [
            f"| {one.what} | {number(one.value)} {one.unit} | {one.note} |" for one in found if one.topic == topic
        ]
        lines += [""]
    return "\n".join([*lines, END])


if __name__ == "__main__":
    text, part = PAGE.read_text(encoding="utf-8"), page_part(list(figures()))
    PAGE.write_text(re.sub(f"{BEGIN}.*{END}", lambda _: part, text, flags=re.DOTALL), encoding="utf-8")
