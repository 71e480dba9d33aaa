"""Compute what reports show of a day at an instant.

A day is partial until it ends, is corrected at noon UTC of the next day, gains conversions for 28 days, and has no
reach for 16 hours. An ad delivers only in its delivery windows.
"""

from array import array
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from operator import add
from zoneinfo import ZoneInfo

from tiktok_assets.sandbox.world.ad_delivery import (
    ATTRIBUTED_COLUMNS,
    COLUMNS,
    CORRECTED_COLUMNS,
    IMPRESSIONS,
    LATE_COLUMNS,
    POSITION,
    REACH,
    REAL_TIME_RESULT,
    RESULT,
    SETTLING_COLUMNS,
    AdProfile,
    Vector,
    final_delivery,
)
from tiktok_assets.sandbox.world.local_days import (
    HOUR_SECONDS,
    LocalDay,
    growth_thousandths,
    local_day,
    local_ordinal,
)
from tiktok_assets.sandbox.world.model import Ad, Entity, World, epoch_seconds

FAR_FUTURE = 1 << 40  # epoch seconds
DeliveryWindow = tuple[int, int]  # start and end, epoch seconds


def delivery_windows(ad: Ad) -> list[DeliveryWindow]:
    """Return the windows in which an ad may deliver, in order.

    An ad delivers after its review and within the schedule of its ad group, while itself, its ad group and its
    campaign are enabled; a creative also only while its Upgraded Smart+ ad is.
    """
    owners: list[Entity] = [ad, ad.ad_group, ad.campaign]
    if ad.smart_plus_ad:
        owners.append(ad.smart_plus_ad)
    deleted = [owner.deleted for owner in owners if owner.deleted is not None]
    start = max(ad.created, ad.ad_group.starts_at or 0)
    stop = min([*deleted, ad.ad_group.ends_at or FAR_FUTURE, FAR_FUTURE])
    paused = [window for owner in owners for window in _paused_windows(owner)] + ad.reviews
    windows: list[DeliveryWindow] = []
    for begin, end in sorted(paused):
        if begin > start:
            windows.append((start, min(begin, stop)))
        start = max(start, end)
    windows.append((start, stop))
    return [(begin, end) for begin, end in windows if begin < end]


def _paused_windows(owner: Entity) -> list[DeliveryWindow]:
    """Return the windows in which an entity itself is paused."""
    windows: list[DeliveryWindow] = []
    since = None
    for instant, enabled in owner.status_history():
        if not enabled and since is None:
            since = instant
        elif enabled and since is not None:
            windows.append((since, instant))
            since = None
    if since is not None:
        windows.append((since, FAR_FUTURE))
    return windows


SETTLING_THOUSANDTHS = 970  # of the real-time conversions that are known before the correction
NEW_USERS_BETWEEN_ADS, NEW_USERS_BETWEEN_DAYS = 70, 45  # percent of the smaller audiences that are new users
WIDTH = len(COLUMNS)


@dataclass
class _SettledDays:
    """The sum of the first days of some ads, which can no longer change.

    Attributes:
        windows: the delivery windows of the ads that it was computed with.
        until: the first day that is not included.
        hour: the hour it was last used at; at an earlier one a day may be unsettled.
        total: the sum; its reach is that of all days without the estimate. None if there was no delivery.
        largest_reach: of a day.
    """

    windows: list[tuple[DeliveryWindow, ...]]
    until: int
    hour: int = 0
    total: Vector | None = None
    largest_reach: int = 0

    def add(self, ordinal: int, vector: Vector | None) -> None:
        """Add the next day."""
        self.until = ordinal + 1
        if vector is not None:
            self.total = vector if self.total is None else array("q", map(add, self.total, vector))
            self.largest_reach = max(self.largest_reach, vector[REACH])


class Facts:
    """The delivery of ads as known at an instant, with a cache.

    Data arrive by the hour (API notes 7: after about 30 minutes, at times two hours), so results are equal within
    one hour of the world's clock.
    """

    def __init__(self, world: World) -> None:
        self._world = world
        self._anchor = epoch_seconds(world.plan.anchor)
        self._profiles: dict[str, AdProfile] = {}
        self._final: dict[tuple[str, int], Vector | None] = {}
        self._known: dict[tuple[str, int], Vector | None] = {}
        self._windows: dict[str, list[DeliveryWindow]] = {}
        self._settled: dict[tuple[str, ...], _SettledDays] = {}
        self._hour = 0
        self._version = 0

    def latest_hour(self, now: int) -> int:
        """Return the hour up to which data are available at `now` (both in epoch seconds)."""
        hour = now // HOUR_SECONDS * HOUR_SECONDS
        if hour != self._hour or self._world.version != self._version:
            self._known, self._hour = {}, hour
        if self._world.version != self._version:  # a write may have changed delivery windows
            self._windows, self._version = {}, self._world.version
        return hour

    def clear(self) -> None:
        """Clear the cache; needed when an account changes its time zone or currency."""
        self._profiles, self._final, self._known, self._windows = {}, {}, {}, {}
        self._settled = {}

    def day(self, ad: Ad, ordinal: int, now: int) -> Vector | None:
        """Return the delivery of an ad's day as known at `now`, or None for no known delivery."""
        hour = self.latest_hour(now)
        key = (ad.id, ordinal)
        if key in self._known:
            return self._known[key]
        known = self._compute(ad, ordinal, hour)
        self._known[key] = known
        return known

    def hours(self, ad: Ad, ordinal: int, now: int) -> Iterator[tuple[int, Vector]]:
        """Yield (local hour, delivery) for the hours of a day with delivery."""
        hour = self.latest_hour(now)
        day = local_day(ad.campaign.advertiser.zone, ordinal)
        before: Vector = array("q", bytes(8 * WIDTH))
        for index, label in enumerate(day.hour_labels):
            until = min(day.start + (index + 1) * HOUR_SECONDS, hour)
            after = self._compute(ad, ordinal, hour, until) or before
            during = array("q", (b - a for a, b in zip(before, after, strict=True)))
            if any(during):
                yield label, during
            before = after

    def lifetime(self, ads: list[Ad], now: int) -> Vector | None:
        """Return the sum of all days of ads of one account as known at `now`, or None for no known delivery.

        Days that can no longer change are summed once.
        """
        hour = self.latest_hour(now)
        days_of_ads = [(ad, self.possible_days(ad, now)) for ad in ads]
        begun = [days for _, days in days_of_ads if days]
        if not begun:
            return None
        windows, zone = [tuple(self._windows_of(ad)) for ad in ads], _zone(ads[0])
        key = tuple(ad.id for ad in ads)
        settled = self._settled.get(key)
        if settled is None or settled.windows != windows or hour < settled.hour:
            settled = self._settled[key] = _SettledDays(windows, min(days.start for days in begun))
        settled.hour = hour
        vectors = [] if settled.total is None else [settled.total]
        largest = settled.largest_reach
        is_settled = True
        for ordinal in range(settled.until, max(days.stop for days in begun)):
            known = [self.day(ad, ordinal, now) for ad, days in days_of_ads if ordinal in days]
            of_ads = [vector for vector in known if vector is not None]
            vector = sum_over_ads(of_ads) if of_ads else None
            if vector is not None:
                vectors.append(vector)
                largest = max(largest, vector[REACH])
            is_settled = is_settled and growth_thousandths(local_day(zone, ordinal), hour) == 1000
            if is_settled:
                settled.add(ordinal, vector)
        if not vectors:
            return None
        total = array("q", map(sum, zip(*vectors, strict=True)))
        total[REACH] = largest + (total[REACH] - largest) * NEW_USERS_BETWEEN_DAYS // 100
        return total

    def possible_days(self, ad: Ad, now: int) -> range:
        """Return the ordinals of the days on which the ad can have delivered up to `now`."""
        windows = self._windows_of(ad)
        if not windows or self.latest_hour(now) <= windows[0][0]:
            return range(0)
        last = min(now, windows[-1][1])
        return range(self._profile_of(ad).first_day, local_ordinal(ad.campaign.advertiser.zone, last) + 1)

    def _windows_of(self, ad: Ad) -> list[DeliveryWindow]:
        windows = self._windows.get(ad.id)
        if windows is None:
            windows = self._windows[ad.id] = delivery_windows(ad)
        return windows

    def _profile_of(self, ad: Ad) -> AdProfile:
        profile = self._profiles.get(ad.id)
        if profile is None:
            profile = self._profiles[ad.id] = AdProfile.from_ad(ad, self._world.plan.seed, self._anchor)
        return profile

    def _compute(self, ad: Ad, ordinal: int, hour: int, until: int | None = None) -> Vector | None:
        """Compute the delivery of a day up to `until` as known at `hour`; None for no delivery."""
        key = (ad.id, ordinal)
        if key not in self._final:
            self._final[key] = _with_results(final_delivery(self._profile_of(ad), ordinal), ad)
        final = self._final[key]
        if final is None:
            return None
        day = local_day(_zone(ad), ordinal)
        if until is None:
            until = hour
        share = sum(day.weight_between(begin, min(end, until)) for begin, end in self._windows_of(ad))
        if share == 0:
            return None
        if share == day.cumulative_weights[-1] and growth_thousandths(day, hour) == 1000:
            return final
        return _known_at(final, ad, day, hour, share)


def _zone(ad: Ad) -> ZoneInfo:
    return ad.campaign.advertiser.zone


def _with_results(vector: Vector | None, ad: Ad) -> Vector | None:
    """Set the results from the column that the campaign's objective counts."""
    if vector is not None:
        vector[RESULT] = vector[POSITION[ad.campaign.objective.result_column]]
        vector[REAL_TIME_RESULT] = vector[
            POSITION["real_time_conversion"] if ad.campaign.objective.result_column == "conversion" else RESULT
        ]
    return vector


def _known_at(final: Vector, ad: Ad, day: LocalDay, hour: int, share: int) -> Vector | None:
    """Reduce the final delivery to what is known at `hour`; `share` is the delivered weight of the day."""
    known = array("q", final)
    if hour < day.corrected_at:
        factor = 988 + (int(ad.id) >> 3 ^ day.ordinal) % 25  # thousandths: off by 1 to 12 in either direction
        factor += factor == 1000
        for column in CORRECTED_COLUMNS:
            known[column] = known[column] * factor // 1000
        for column in SETTLING_COLUMNS:
            known[column] = known[column] * SETTLING_THOUSANDTHS // 1000
    grown = growth_thousandths(day, hour)
    if grown < 1000:
        for column in ATTRIBUTED_COLUMNS:
            known[column] = known[column] * grown // 1000
    total = day.cumulative_weights[-1]
    if share < total:
        known = array("q", (value * share // total for value in known))
        known[REACH] = max(known[REACH], 1)
    if hour < day.reach_available_at:
        known[REACH] = 0
        for column in LATE_COLUMNS:
            known[column] = 0
    _with_results(known, ad)
    return known if known[IMPRESSIONS] else None


def sum_over_ads(vectors: Iterable[Vector]) -> Vector:
    """Sum the delivery of several ads on one day; reach is estimated, all else is exact."""
    return _sum(list(vectors), NEW_USERS_BETWEEN_ADS)


def sum_over_days(vectors: Iterable[Vector]) -> Vector:
    """Sum the delivery of one entity over several days; reach is estimated, all else is exact."""
    return _sum(list(vectors), NEW_USERS_BETWEEN_DAYS)


def _sum(vectors: list[Vector], new_percent: int) -> Vector:
    if not vectors:
        return array("q", bytes(8 * WIDTH))
    if len(vectors) == 1:
        return vectors[0]
    total = array("q", map(sum, zip(*vectors, strict=True)))
    largest = max(vector[REACH] for vector in vectors)
    # Reach is not additive (API notes 6.6, 9 #19): part of the smaller audiences are the same users.
    total[REACH] = largest + (total[REACH] - largest) * new_percent // 100
    return total
