"""Parse the `filtering` array of reports (API notes 6.4)."""

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from fnmatch import fnmatchcase
from typing import Any

from tiktok_assets.sandbox.http.errors import bad_parameter, metrics_conflict
from tiktok_assets.sandbox.http.params import MISSING, parse_choice, parse_json, parse_time
from tiktok_assets.sandbox.reads.data_levels import DataLevel
from tiktok_assets.sandbox.reads.entity_filters import MAX_IDS, parse_ids
from tiktok_assets.sandbox.world.metrics import is_numeric
from tiktok_assets.sandbox.world.status import (
    DEFAULT_BUYING_TYPES,
    DEFAULT_ORIGINS,
    PRIMARY_STATUSES,
    SECONDARY_STATUSES,
    matches_status,
)

LIST_FILTER_TYPES = ("IN", "NOT_IN", "CONTAIN_ANY_OF", "BETWEEN")  # their value is a JSON array as text
FILTER_TYPES = (*LIST_FILTER_TYPES, "MATCH", "GREATER_EQUAL", "GREATER_THAN", "LOWER_EQUAL", "LOWER_THAN")
COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "GREATER_EQUAL": lambda value, limit: bool(value >= limit),
    "GREATER_THAN": lambda value, limit: bool(value > limit),
    "LOWER_EQUAL": lambda value, limit: bool(value <= limit),
    "LOWER_THAN": lambda value, limit: bool(value < limit),
}
LEVEL_ORDER = ("AUCTION_ADVERTISER", "AUCTION_CAMPAIGN", "AUCTION_ADGROUP", "AUCTION_AD")
# Field -> (attribute to compare, index in LEVEL_ORDER of the coarsest level that has it).
ID_FIELDS = {
    "campaign_ids": ("campaign_id", 1),
    "adgroup_ids": ("adgroup_id", 2),
    "ad_ids": ("ad_id", 3),
    "ad_ids_v2": ("ad_id_v2", 3),
}
TEXT_FIELDS = {
    "campaign_name": ("campaign_name", 1),
    "adgroup_name": ("adgroup_name", 2),
    "ad_name": ("ad_name", 3),
    "campaign_automation_type": ("campaign_automation_type", 1),
    "objective_type": ("objective_type", 1),
    "buying_type": ("buying_type", 1),
    "campaign_system_origins": ("campaign_system_origin", 1),
}
# Promote and TopView are excluded unless there is a filter for them (mengxingxinqing/tiktok_ads promote_campaign,
# run_a_synchronous_report).
DEFAULT_FILTERS = {"buying_type": DEFAULT_BUYING_TYPES, "campaign_system_origin": DEFAULT_ORIGINS}
STATUS_FIELDS = ("campaign_status", "adgroup_status", "ad_status")


@dataclass(frozen=True)
class ReportFilter:
    """A parsed filter of report rows.

    Attributes:
        attribute: The attribute of the entity, the metric or the breakdown that it compares.
        on_metric: Whether `attribute` is a metric.
        key: Identifies the filter in cache keys.
        predicate: Returns whether a value passes.
        on_breakdown: Whether `attribute` is a breakdown.
    """

    attribute: str
    on_metric: bool
    key: tuple[str, str, str]
    predicate: Callable[[str], bool]
    on_breakdown: bool = False


def parse_filters(
    given: list[object] | None, level: DataLevel, dimensions: tuple[str, ...], max_ids: int = MAX_IDS
) -> tuple[ReportFilter, ...]:
    """Parse filters and add the default ones, such as that without deleted entities (API notes 6.4).

    Args:
        given: The `filtering` of the request.
        level: The data level.
        dimensions: The dimensions of the request.
        max_ids: How many ids a filter can have.

    Raises:
        ApiError: 40002, a filter is malformed or cannot be combined with the level or the dimensions.
    """
    filters = [
        _parse_filter(row, f"filtering.{index}", level, dimensions, max_ids)
        for index, row in enumerate(given or [])
    ]
    if level.status_field and not any(one.attribute == "secondary_status" for one in filters):
        key = (level.status_field, "IN", "STATUS_NOT_DELETE")
        filters.append(
            ReportFilter(
                "secondary_status",
                on_metric=False,
                key=key,
                predicate=lambda value: matches_status(value, "STATUS_NOT_DELETE"),
            )
        )
    given_attributes = {one.attribute for one in filters}
    if level.entity_kind:
        filters += [
            ReportFilter(name, on_metric=False, key=(name, "IN", "default"), predicate=allowed.__contains__)
            for name, allowed in DEFAULT_FILTERS.items()
            if name not in given_attributes
        ]
    return tuple(filters)


def _parse_filter(
    row: object, path: str, level: DataLevel, dimensions: tuple[str, ...], max_ids: int
) -> ReportFilter:
    if not isinstance(row, dict):
        raise bad_parameter(path, "Not a valid object.")
    for key in ("field_name", "filter_type", "filter_value"):  # all three are required (API notes 6.1)
        if row.get(key) is None:
            raise bad_parameter(f"{path}.{key}", MISSING)
        if not isinstance(row[key], str):  # always text (API notes 6.4)
            raise bad_parameter(f"{path}.{key}", "Not a valid string.")
    field, kind, value = row["field_name"], row["filter_type"], row["filter_value"]
    parse_choice(kind, f"{path}.filter_type", FILTER_TYPES)
    at = f"{path}.filter_value"
    values = _parse_values(value, at) if kind in LIST_FILTER_TYPES else [value]
    if field == "country_code":
        if field not in dimensions:  # allowed only if it is a dimension too (API notes 6.4)
            raise metrics_conflict()
        predicate = _text_predicate(kind, values, f"{path}.filter_type")
        return ReportFilter(
            field, on_metric=False, on_breakdown=True, key=(field, kind, value), predicate=predicate
        )
    attribute, predicate = _predicate(field, kind, values, path, level, max_ids=max_ids)
    return ReportFilter(attribute, on_metric=is_numeric(field), key=(field, kind, value), predicate=predicate)


def _parse_values(text: str, path: str) -> list[str]:
    """Parse a JSON array in a string; ids in it may be numbers (API notes 6.4)."""
    items = parse_json(text, path)
    if not isinstance(items, list):
        raise bad_parameter(path, "Not a valid list.")
    return [item if isinstance(item, str) else str(item) for item in items]


def _predicate(
    field: str, kind: str, values: list[str], path: str, level: DataLevel, *, max_ids: int
) -> tuple[str, Callable[[str], bool]]:
    """Return the attribute that a filter compares, and its predicate."""
    at = f"{path}.filter_value"
    if field in STATUS_FIELDS:
        return "secondary_status", _status_predicate(field, kind, values, path, level)
    for table in (ID_FIELDS, TEXT_FIELDS):
        if field in table:
            attribute, coarsest = table[field]
            if LEVEL_ORDER.index(level.name) < coarsest:
                raise metrics_conflict()
            if table is ID_FIELDS:
                parse_ids(values, at, max_ids)
                parse_choice(kind, f"{path}.filter_type", ("IN", "NOT_IN"))
            return attribute, _text_predicate(kind, values, f"{path}.filter_type")
    if field == "create_time":  # UTC (API notes 6.4)
        times = [parse_time(item, at) for item in values]
        return "create_time", _comparison(kind, times, path)
    if is_numeric(field):
        numbers = [_parse_number(item, at) for item in values]
        compare = _comparison(kind, numbers, path)
        return field, lambda value: value != "-" and compare(Decimal(value))
    raise bad_parameter(f"{path}.field_name", f"{field} is not a valid filter field.")


def _status_predicate(
    field: str, kind: str, values: list[str], path: str, level: DataLevel
) -> Callable[[str], bool]:
    # A status field of another level than the report's is an error (API notes 6.4, airbytehq/airbyte #44048).
    if field != level.status_field or level.entity_kind is None:
        raise bad_parameter(f"{path}.field_name", f"{field} is not supported with data_level {level.name}.")
    parse_choice(kind, f"{path}.filter_type", ("IN", "NOT_IN"))
    allowed = (*PRIMARY_STATUSES, *SECONDARY_STATUSES[level.entity_kind])
    for value in values:
        parse_choice(value, f"{path}.filter_value", allowed)
    inside = kind == "IN"
    return lambda status: any(matches_status(status, value) for value in values) is inside


def _text_predicate(kind: str, values: list[str], path: str) -> Callable[[str], bool]:
    folded = [value.casefold() for value in values]
    predicates: dict[str, Callable[[str], bool]] = {
        "IN": lambda value: value in values,
        "NOT_IN": lambda value: value not in values,
        "CONTAIN_ANY_OF": lambda value: any(part in value.casefold() for part in folded),
        "MATCH": lambda value: fnmatchcase(value.casefold(), f"*{folded[0].replace('%', '*')}*"),
    }
    return predicates[parse_choice(kind, path, predicates)]


def _comparison(kind: str, limits: list[Any], path: str) -> Callable[[Any], bool]:
    if kind == "BETWEEN":
        if len(limits) != 2:  # exactly two values (API notes 6.4)
            raise bad_parameter(f"{path}.filter_value", "BETWEEN takes exactly two values.")
        low, high = limits
        return lambda value: bool(low <= value <= high)
    if kind == "IN":
        return lambda value: value in limits
    if kind == "NOT_IN":
        return lambda value: value not in limits
    compare = COMPARISONS[parse_choice(kind, f"{path}.filter_type", COMPARISONS)]
    return lambda value: compare(value, limits[0])


def _parse_number(text: str, path: str) -> Decimal:
    try:
        return Decimal(text)
    except InvalidOperation:
        raise bad_parameter(path, "Not a valid number.") from None
