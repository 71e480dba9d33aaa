"""Compute what reports show of a day at an instant: partial days, corrections, attribution and late reach."""

from array import array
from collections.abc import Iterable, Iterator
from zoneinfo import ZoneInfo

from tiktok_assets.sandbox.world.delivery import (
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

FAR_FUTURE = 1 << 40  # epoch seconds far past any clock
DeliveryWindow = tuple[int, int]


def delivery_windows(ad: Ad) -> list[DeliveryWindow]:
    """Return the stretches of time in which the ad may deliver, in order, as epoch seconds."""
    owners: tuple[Entity, ...] = (ad, ad.ad_group, ad.campaign)
    deleted = [owner.deleted for owner in owners if owner.deleted is not None]
    start = max(ad.created, ad.ad_group.starts or 0)
    stop = min([*deleted, ad.ad_group.ends or FAR_FUTURE, FAR_FUTURE])
    off = [span for owner in owners for span in _paused_windows(owner)] + ad.reviews
    found: list[DeliveryWindow] = []
    for begin, end in sorted(off):
        if begin > start:
            found.append((start, min(begin, stop)))
        start = max(start, end)
    found.append((start, stop))
    return [(begin, end) for begin, end in found if begin < end]


def _paused_windows(owner: Entity) -> list[DeliveryWindow]:
    found: list[DeliveryWindow] = []
    since = None
    for instant, on in owner.toggles():
        if not on and since is None:
            since = instant
        elif on and since is not None:
            found.append((since, instant))
            since = None
    if since is not None:
        found.append((since, FAR_FUTURE))
    return found


SETTLING_THOUSANDTHS = 970  # of the real-time conversions, before the correction
NEW_USERS_BETWEEN_ADS, NEW_USERS_BETWEEN_DAYS = 70, 45  # percent of the smaller audiences that are new people
WIDTH = len(COLUMNS)


class Facts:
    """Answers what is known of an ad's day at an instant; keeps what it has worked out.

    Data arrive by the whole hour (dossier 7: about 30 minutes late, at times two hours), so answers within
    one hour of the world's clock are equal.
    """

    def __init__(self, world: World) -> None:
        self._world = world
        self._anchor = epoch_seconds(world.plan.anchor)
        self._shapes: dict[str, AdProfile] = {}
        self._final: dict[tuple[str, int], Vector | None] = {}
        self._known: dict[tuple[str, int], Vector | None] = {}
        self._spans: dict[str, list[DeliveryWindow]] = {}
        self._hour = 0
        self._version = 0

    def at(self, now: int) -> int:
        """Return the whole hour that the data at `now` reach to."""
        hour = now // HOUR_SECONDS * HOUR_SECONDS
        if hour != self._hour or self._world.version != self._version:
            self._known, self._hour = {}, hour
        if self._world.version != self._version:  # something was written
            self._spans, self._version = {}, self._world.version
        return hour

    def forget(self) -> None:
        """Forget everything worked out, as when an account counts its days or its money otherwise."""
        self._shapes, self._final, self._known, self._spans = {}, {}, {}, {}

    def day(self, ad: Ad, ordinal: int, now: int) -> Vector | None:
        """Return the ad's day as known now, or None when nothing is known to have been delivered."""
        hour = self.at(now)
        key = (ad.id, ordinal)
        if key in self._known:
            return self._known[key]
        known = self._work_out(ad, ordinal, hour)
        self._known[key] = known
        return known

    def hours(self, ad: Ad, ordinal: int, now: int) -> Iterator[tuple[int, Vector]]:
        """Yield (local hour, what was delivered in it) for the hours with delivery."""
        hour = self.at(now)
        day = local_day(ad.campaign.advertiser.zone, ordinal)
        before: Vector = array("q", bytes(8 * WIDTH))
        for index, label in enumerate(day.labels):
            upto = min(day.start + (index + 1) * HOUR_SECONDS, hour)
            after = self._work_out(ad, ordinal, hour, upto) or before
            during = array("q", (b - a for a, b in zip(before, after, strict=True)))
            if any(during):
                yield label, during
            before = after

    def days_of(self, ad: Ad, now: int) -> range:
        """Return the days on which the ad can have delivered up to now."""
        spans = self._on_air(ad)
        if not spans or self.at(now) <= spans[0][0]:
            return range(0)
        last = min(now, spans[-1][1])
        return range(self._shape(ad).first_day, local_ordinal(ad.campaign.advertiser.zone, last) + 1)

    def _on_air(self, ad: Ad) -> list[DeliveryWindow]:
        found = self._spans.get(ad.id)
        if found is None:
            found = self._spans[ad.id] = delivery_windows(ad)
        return found

    def _shape(self, ad: Ad) -> AdProfile:
        shape = self._shapes.get(ad.id)
        if shape is None:
            shape = self._shapes[ad.id] = AdProfile.of(ad, self._world.plan.seed, self._anchor)
        return shape

    def _work_out(self, ad: Ad, ordinal: int, hour: int, upto: int | None = None) -> Vector | None:
        key = (ad.id, ordinal)
        if key not in self._final:
            self._final[key] = _with_results(final_delivery(self._shape(ad), ordinal), ad)
        final = self._final[key]
        if final is None:
            return None
        day = local_day(_zone(ad), ordinal)
        if upto is None:
            upto = hour
        part = sum(day.weight_between(begin, min(end, upto)) for begin, end in self._on_air(ad))
        if part == 0:
            return None
        if part == day.weights[-1] and growth_thousandths(day, hour) == 1000:
            return final
        return _known_at(final, ad, day, hour, part)


def _zone(ad: Ad) -> ZoneInfo:
    return ad.campaign.advertiser.zone


def _with_results(vector: Vector | None, ad: Ad) -> Vector | None:
    if vector is not None:
        vector[RESULT] = vector[POSITION[ad.campaign.objective.result]]
        vector[REAL_TIME_RESULT] = vector[
            POSITION["real_time_conversion"] if ad.campaign.objective.result == "conversion" else RESULT
        ]
    return vector


def _known_at(final: Vector, ad: Ad, day: LocalDay, hour: int, part: int) -> Vector | None:
    known = array("q", final)
    if hour < day.corrected_at:
        off = 988 + (int(ad.id) >> 3 ^ day.ordinal) % 25  # thousandths: -12 to +12, and never exactly right
        off += off == 1000
        for column in CORRECTED_COLUMNS:
            known[column] = known[column] * off // 1000
        for column in SETTLING_COLUMNS:
            known[column] = known[column] * SETTLING_THOUSANDTHS // 1000
    grown = growth_thousandths(day, hour)
    if grown < 1000:
        for column in ATTRIBUTED_COLUMNS:
            known[column] = known[column] * grown // 1000
    total = day.weights[-1]
    if part < total:
        known = array("q", (value * part // total for value in known))
        known[REACH] = max(known[REACH], 1)
    if hour < day.uv_at:
        known[REACH] = 0
        for column in LATE_COLUMNS:
            known[column] = 0
    _with_results(known, ad)
    return known if known[IMPRESSIONS] else None


def sum_over_ads(vectors: Iterable[Vector]) -> Vector:
    """Return the exact sum of vectors; its reach is that of several ads on one day."""
    return _sum(list(vectors), NEW_USERS_BETWEEN_ADS)


def sum_over_days(vectors: Iterable[Vector]) -> Vector:
    """Return the exact sum of vectors; its reach is that of one entity over several days."""
    return _sum(list(vectors), NEW_USERS_BETWEEN_DAYS)


def _sum(vectors: list[Vector], new_people: int) -> Vector:
    if not vectors:
        return array("q", bytes(8 * WIDTH))
    if len(vectors) == 1:
        return vectors[0]
    total = array("q", map(sum, zip(*vectors, strict=True)))
    largest = max(vector[REACH] for vector in vectors)
    # Reach is not addable (dossier 6.6, 9 #19): part of the smaller audiences are the same people.
    total[REACH] = largest + (total[REACH] - largest) * new_people // 100
    return total
