"""Collect the rows of a report and format their metrics (API notes 6.5, 7)."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Any

from tiktok_assets.sandbox.http.context import Context
from tiktok_assets.sandbox.reads.breakdowns import BREAKDOWNS, split_delivery
from tiktok_assets.sandbox.reads.data_levels import LevelEntity, list_attributes
from tiktok_assets.sandbox.reads.report_query import ReportQuery
from tiktok_assets.sandbox.world.ad_delivery import IMPRESSIONS, REACH, Vector
from tiktok_assets.sandbox.world.facts import sum_over_ads, sum_over_days
from tiktok_assets.sandbox.world.local_days import local_day
from tiktok_assets.sandbox.world.metrics import ACCOUNT_METRICS, NO_VALUE, NUMERIC, formatter_for, is_numeric
from tiktok_assets.sandbox.world.model import Ad, AdGroup, Advertiser, Campaign, SmartPlusAd, format_utc
from tiktok_assets.sandbox.world.status import is_listed_by_default, secondary_status, visibility_of

NO_DELIVERY = sum_over_ads(())
Cell = tuple[str | None, tuple[str, ...]]  # time and breakdown values of a row


@dataclass(frozen=True)
class Row:
    """A row before its metrics are formatted; `time` is None without a time dimension."""

    entity: LevelEntity
    attributes: dict[str, str]
    time: str | None
    vector: Vector
    breakdown_values: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class ReportedEntity:
    """An entity of the level, or an Upgraded Smart+ ad with all its creatives, for which a report has rows."""

    entity: LevelEntity
    attributes: dict[str, str]
    ads: list[Ad]


def reported_entities(query: ReportQuery, advertiser: Advertiser, hour: int) -> list[ReportedEntity]:
    """Return the entities of the level that exist at `hour` and pass the filters."""
    reported = []
    for entity in _entities(query, advertiser):
        attributes = query.level.attributes(entity)
        if not isinstance(entity, Advertiser):
            if not entity.exists(hour):
                continue
            attributes |= {
                "secondary_status": secondary_status(entity, hour),
                "create_time": format_utc(entity.created),
                **visibility_of(entity),
            }
        filters = (one for one in query.filters if not one.on_metric and not one.on_breakdown)
        if all(one.predicate(attributes[one.attribute]) for one in filters):
            reported.append(ReportedEntity(entity, attributes, _ads(query, entity)))
    return reported


def _entities(query: ReportQuery, advertiser: Advertiser) -> Sequence[LevelEntity]:
    """Return the entities of the level: by `ad_id_v2` Upgraded Smart+ ads, by `ad_id` their creatives."""
    entities = query.level.entities(advertiser)
    if "ad_id_v2" not in query.dimensions:
        return entities
    manual = [one for one in entities if not (isinstance(one, Ad) and one.smart_plus_ad)]
    return [*manual, *advertiser.smart_plus_ads]


def _ads(query: ReportQuery, entity: LevelEntity) -> list[Ad]:
    """Return the ads to sum for an entity; for an account only those that reports include by default."""
    ads = query.level.ads(entity)
    return [ad for ad in ads if is_listed_by_default(ad.campaign)] if isinstance(entity, Advertiser) else ads


def rows_of(context: Context, query: ReportQuery, reported: ReportedEntity, hour: int) -> Iterator[Row]:
    """Yield the rows of one entity."""
    cells: dict[Cell, list[Vector]] = {}
    deliveries: Iterable[tuple[Cell, Vector]]
    if query.first is None and not query.breakdowns:
        lifetime = context.facts.lifetime(reported.ads, hour)
        deliveries = [] if lifetime is None else [((None, ()), lifetime)]
    elif query.time_dimension == "stat_time_hour":
        deliveries = _hourly(context, query, reported.ads, hour)
    elif query.breakdowns:
        deliveries = _broken_down(context, query, reported.ads, hour)
    else:
        deliveries = (((time, ()), vector) for time, vector in _daily(context, query, reported.ads, hour))
    for cell, vector in deliveries:
        cells.setdefault(cell, []).append(vector)
    for (time, labels), vectors in sorted(cells.items(), key=lambda one: (one[0][0] or "", one[0][1])):
        total = sum_over_ads(vectors) if query.time_dimension else sum_over_days(vectors)
        breakdown_values = dict(zip(query.breakdowns, labels, strict=True))
        yield Row(reported.entity, reported.attributes, time, total, breakdown_values)
    # Days without data have no row; without a time dimension an entity without data has zeros (API notes 6.5).
    if not cells and not query.time_dimension and not query.breakdowns and context.switches.zero_rows:
        yield Row(reported.entity, reported.attributes, None, NO_DELIVERY)


def _daily(context: Context, query: ReportQuery, ads: list[Ad], hour: int) -> Iterator[tuple[str | None, Vector]]:
    """Yield (day, delivery of all ads); the day is None without a time dimension."""
    days_of_ads = [(ad, _days_in_window(query, context.facts.possible_days(ad, hour))) for ad in ads]
    ordinals = sorted({ordinal for _, days in days_of_ads for ordinal in days})
    for ordinal in ordinals:
        known = [context.facts.day(ad, ordinal, hour) for ad, days in days_of_ads if ordinal in days]
        vectors = [vector for vector in known if vector is not None]
        if vectors:
            yield _format_day(ordinal) if query.time_dimension else None, sum_over_ads(vectors)


def _broken_down(context: Context, query: ReportQuery, ads: list[Ad], hour: int) -> Iterator[tuple[Cell, Vector]]:
    """Yield (time and breakdown values, delivery) of each ad's days."""
    is_immediate = all(BREAKDOWNS[name].is_immediate for name in query.breakdowns)
    for ad in ads:
        for ordinal in _days_in_window(query, context.facts.possible_days(ad, hour)):
            if not is_immediate and hour < local_day(ad.campaign.advertiser.zone, ordinal).reach_available_at:
                continue  # audience data are available after 16 hours (API notes 7)
            vector = context.facts.day(ad, ordinal, hour)
            if vector is not None:
                time = _format_day(ordinal) if query.time_dimension else None
                yield from (
                    ((time, labels), part) for labels, part in split_delivery(vector, ad, query.breakdowns)
                )


def _hourly(context: Context, query: ReportQuery, ads: list[Ad], hour: int) -> Iterator[tuple[Cell, Vector]]:
    """Yield (time, delivery) of each ad's hours; only a task has more than one day (API notes 6.3, 6.7)."""
    for ad in ads:
        for ordinal in _days_in_window(query, context.facts.possible_days(ad, hour)):
            day = date.fromordinal(ordinal).isoformat()
            for label, vector in context.facts.hours(ad, ordinal, hour):
                yield (f"{day} {label:02d}:00:00", ()), vector


def _format_day(ordinal: int) -> str:
    return f"{date.fromordinal(ordinal).isoformat()} 00:00:00"


def _days_in_window(query: ReportQuery, days: range) -> range:
    if query.first is None or query.last is None:
        return days
    return range(max(days.start, query.first.toordinal()), min(days.stop, query.last.toordinal() + 1))


RESULT_METRICS = frozenset(name for name in NUMERIC if "result" in name)


@dataclass(frozen=True)
class MetricFormatter:
    """Formats one metric.

    Attributes:
        name: The metric.
        format_vector: Formats it from the delivery alone, which is faster; None if it needs the row.
        format_row: Formats it from the row.
    """

    name: str
    format_vector: Callable[[Vector], str] | None
    format_row: Callable[[Row], str]


def format_metrics(row: Row, formatters: list[MetricFormatter]) -> dict[str, str]:
    """Format the metrics of a row, by name."""
    vector = row.vector
    return {
        one.name: one.format_vector(vector) if one.format_vector else one.format_row(row) for one in formatters
    }


def with_lists(metrics: dict[str, str], row: Row, now: int, *, beside: bool) -> dict[str, Any]:
    """Return the metrics of a row, those of an Upgraded Smart+ ad with lists instead of single attributes.

    Args:
        metrics: The formatted metrics.
        row: The row.
        now: The current instant.
        beside: Whether the single attributes stay, without a value.
    """
    if not isinstance(row.entity, SmartPlusAd):
        return metrics
    lists = {name: values for name, values in list_attributes(row.entity, now).items() if name in metrics}
    kept = metrics if beside else {name: text for name, text in metrics.items() if name not in lists}
    return kept | {f"{name}_list": values for name, values in lists.items()}


def metric_formatter(name: str, advertiser: Advertiser) -> MetricFormatter:
    """Return the formatter of a metric in an account's currency."""
    if not is_numeric(name):
        return MetricFormatter(name, None, lambda row: row.attributes.get(name, NO_VALUE))
    format_vector = formatter_for(name, advertiser.currency.decimals)
    metric = NUMERIC.get(name)
    is_late = name in ACCOUNT_METRICS or (metric is not None and metric.counts_unique_users)
    if is_late:  # "-" for the first 16 hours (API notes 7, 6.5)
        return MetricFormatter(
            name,
            lambda vector: NO_VALUE if _is_reach_pending(vector) else format_vector(vector),
            lambda row: NO_VALUE if _is_reach_pending(row.vector) else format_vector(row.vector),
        )
    if name in RESULT_METRICS:  # also unique users if the goal is reach (API notes 7)
        return MetricFormatter(
            name,
            None,
            lambda row: (
                NO_VALUE
                if _is_reach_pending(row.vector) and _counts_reach(row.entity)
                else format_vector(row.vector)
            ),
        )
    return MetricFormatter(name, format_vector, lambda row: format_vector(row.vector))


def _is_reach_pending(vector: Vector) -> bool:
    """Return whether there are impressions, but no reach yet."""
    return vector[REACH] == 0 and vector[IMPRESSIONS] > 0


def _counts_reach(entity: LevelEntity) -> bool:
    if isinstance(entity, Campaign):
        return entity.objective.optimization_goal == "REACH"
    return (
        isinstance(entity, Ad | AdGroup | SmartPlusAd) and entity.campaign.objective.optimization_goal == "REACH"
    )


def sort_value(text: str) -> Decimal:
    """Parse a metric's text for sorting; unknown values sort as -1."""
    return Decimal(-1) if text == NO_VALUE else Decimal(text)
