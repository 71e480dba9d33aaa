"""Parse the `filtering` array of reports (API notes 6.4)."""

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from fnmatch import fnmatchcase
from typing import Any

from tiktok_assets.sandbox.http.errors import bad_parameter, metrics_conflict
from tiktok_assets.sandbox.http.params import MISSING, parse_choice, parse_json, parse_time
from tiktok_assets.sandbox.reads.data_levels import DataLevel
from tiktok_assets.sandbox.reads.entity_filters import parse_ids
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
    "GREATER_EQUAL": lambda found, limit: bool(found >= limit),
    "GREATER_THAN": lambda found, limit: bool(found > limit),
    "LOWER_EQUAL": lambda found, limit: bool(found <= limit),
    "LOWER_THAN": lambda found, limit: bool(found < limit),
}
LEVEL_ORDER = ("AUCTION_ADVERTISER", "AUCTION_CAMPAIGN", "AUCTION_ADGROUP", "AUCTION_AD")
# field -> (attribute compared, coarsest level that has it)
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
# Left out unless its filter is given: Promote (MX promote_campaign), TopView (MX run_a_synchronous_report).
DEFAULT_FILTERS = {"buying_type": DEFAULT_BUYING_TYPES, "campaign_system_origin": DEFAULT_ORIGINS}
STATUS_FIELDS = ("campaign_status", "adgroup_status", "ad_status")


@dataclass(frozen=True)
class ReportFilter:
    """One checked filter: a test on `attribute` of the row's entity, or on a metric of the row."""

    attribute: str
    on_metric: bool
    identity: tuple[str, str, str]
    test: Callable[[str], bool]
    on_label: bool = False  # of a breakdown


def parse_filters(
    given: list[object] | None, level: DataLevel, dimensions: tuple[str, ...]
) -> tuple[ReportFilter, ...]:
    """Return the checked filters; without a status filter deleted entities are left out (dossier 6.4)."""
    found = [_parse_filter(row, f"filtering.{index}", level, dimensions) for index, row in enumerate(given or [])]
    if level.status_field and not any(one.attribute == "secondary_status" for one in found):
        identity = (level.status_field, "IN", "STATUS_NOT_DELETE")
        found.append(
            ReportFilter(
                "secondary_status",
                on_metric=False,
                identity=identity,
                test=lambda shown: matches_status(shown, "STATUS_NOT_DELETE"),
            )
        )
    given_attributes = {one.attribute for one in found}
    if level.kind:
        found += [
            ReportFilter(name, on_metric=False, identity=(name, "IN", "default"), test=shown.__contains__)
            for name, shown in DEFAULT_FILTERS.items()
            if name not in given_attributes
        ]
    return tuple(found)


def _parse_filter(row: object, path: str, level: DataLevel, dimensions: tuple[str, ...]) -> ReportFilter:
    if not isinstance(row, dict):
        raise bad_parameter(path, "Not a valid object.")
    for key in ("field_name", "filter_type", "filter_value"):  # all three compulsory (dossier 6.1)
        if row.get(key) is None:
            raise bad_parameter(f"{path}.{key}", MISSING)
        if not isinstance(row[key], str):  # always text (dossier 6.4)
            raise bad_parameter(f"{path}.{key}", "Not a valid string.")
    field, kind, value = row["field_name"], row["filter_type"], row["filter_value"]
    parse_choice(kind, f"{path}.filter_type", FILTER_TYPES)
    at = f"{path}.filter_value"
    values = _parse_values(value, at) if kind in LIST_FILTER_TYPES else [value]
    if field == "country_code":
        if field not in dimensions:  # only when it is a dimension too (dossier 6.4)
            raise metrics_conflict()
        test = _text_predicate(kind, values, f"{path}.filter_type")
        return ReportFilter(field, on_metric=False, on_label=True, identity=(field, kind, value), test=test)
    attribute, test = _predicate(field, kind, values, path, level)
    return ReportFilter(attribute, on_metric=is_numeric(field), identity=(field, kind, value), test=test)


def _parse_values(text: str, path: str) -> list[str]:
    """Return the items of a JSON array written as text; ids may be bare numbers in it (dossier 6.4)."""
    found = parse_json(text, path)
    if not isinstance(found, list):
        raise bad_parameter(path, "Not a valid list.")
    return [item if isinstance(item, str) else str(item) for item in found]


def _predicate(
    field: str, kind: str, values: list[str], path: str, level: DataLevel
) -> tuple[str, Callable[[str], bool]]:
    at = f"{path}.filter_value"
    if field in STATUS_FIELDS:
        return "secondary_status", _status_predicate(field, kind, values, path, level)
    for table in (ID_FIELDS, TEXT_FIELDS):
        if field in table:
            attribute, needs = table[field]
            if LEVEL_ORDER.index(level.name) < needs:
                raise metrics_conflict()
            if table is ID_FIELDS:
                parse_ids(values, at)
                parse_choice(kind, f"{path}.filter_type", ("IN", "NOT_IN"))
            return attribute, _text_predicate(kind, values, f"{path}.filter_type")
    if field == "create_time":  # UTC (dossier 6.4)
        times = [parse_time(item, at) for item in values]
        return "create_time", _comparison(kind, times, path)
    if is_numeric(field):
        numbers = [_parse_number(item, at) for item in values]
        compare = _comparison(kind, numbers, path)
        return field, lambda shown: shown != "-" and compare(Decimal(shown))
    raise bad_parameter(f"{path}.field_name", f"{field} is not a valid filter field.")


def _status_predicate(
    field: str, kind: str, values: list[str], path: str, level: DataLevel
) -> Callable[[str], bool]:
    # A status field of another level than the report's is an error (dossier 6.4, AB #44048).
    if field != level.status_field or level.kind is None:
        raise bad_parameter(f"{path}.field_name", f"{field} is not supported with data_level {level.name}.")
    parse_choice(kind, f"{path}.filter_type", ("IN", "NOT_IN"))
    allowed = (*PRIMARY_STATUSES, *SECONDARY_STATUSES[level.kind])
    for value in values:
        parse_choice(value, f"{path}.filter_value", allowed)
    inside = kind == "IN"
    return lambda shown: any(matches_status(shown, value) for value in values) is inside


def _text_predicate(kind: str, values: list[str], path: str) -> Callable[[str], bool]:
    folded = [value.casefold() for value in values]
    tests: dict[str, Callable[[str], bool]] = {
        "IN": lambda shown: shown in values,
        "NOT_IN": lambda shown: shown not in values,
        "CONTAIN_ANY_OF": lambda shown: any(value in shown.casefold() for value in folded),
        "MATCH": lambda shown: fnmatchcase(shown.casefold(), f"*{folded[0].replace('%', '*')}*"),
    }
    return tests[parse_choice(kind, path, tests)]


def _comparison(kind: str, limits: list[Any], path: str) -> Callable[[Any], bool]:
    if kind == "BETWEEN":
        if len(limits) != 2:  # exactly two values (dossier 6.4)
            raise bad_parameter(f"{path}.filter_value", "BETWEEN takes exactly two values.")
        low, high = limits
        return lambda found: bool(low <= found <= high)
    if kind == "IN":
        return lambda found: found in limits
    if kind == "NOT_IN":
        return lambda found: found not in limits
    compare = COMPARISONS[parse_choice(kind, f"{path}.filter_type", COMPARISONS)]
    return lambda found: compare(found, limits[0])


def _parse_number(text: str, path: str) -> Decimal:
    try:
        return Decimal(text)
    except InvalidOperation:
        raise bad_parameter(path, "Not a valid number.") from None
