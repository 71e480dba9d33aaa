"""Parse and validate requests of /smart_plus/material_report/overview/ and breakdown/.

Sources: mengxingxinqing/tiktok_ads, pages run_an_upgraded_smart_creative_overview_report,
run_an_upgraded_smart_creative_breakdown_report, supported_dimensions_for_upgraded_smart_creative_… (two) and
supported_ad-level_metrics_for_upgraded_smart_creative_repor.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from tiktok_assets.sandbox.http.errors import bad_parameter, invalid_metrics, metrics_conflict
from tiktok_assets.sandbox.http.params import MISSING, Params, parse_choice, parse_texts
from tiktok_assets.sandbox.reads.entity_filters import parse_ids
from tiktok_assets.sandbox.world.materials import MAIN_MATERIAL, MATERIAL_TYPES, SETTINGS

# The advertising dimensions from coarse to fine, with the filter by their ids.
ADVERTISING = {
    "advertiser_id": None,
    "campaign_id": "campaign_ids",
    "adgroup_id": "adgroup_ids",
    "smart_plus_ad_id": "smart_plus_ad_ids",
}
ID_FILTERS = ("campaign_ids", "adgroup_ids", "smart_plus_ad_ids")
TIMES = ("stat_time_hour", "stat_time_day", "stat_time_week", "stat_time_month")
ELEMENTS = (MAIN_MATERIAL, *SETTINGS)
MAX_FILTER_IDS, MAX_ELEMENT_IDS = 200, 400
MAX_DAYS_APART, MAX_DAYS_APART_BY_HOUR = 365, 7  # between the first and the last day
MAX_PAGE_SIZE = 100
DEFAULT_METRICS = ("spend", "impressions")
METRICS = frozenset(
    line
    for line in Path(__file__).with_name("material_metrics.txt").read_text(encoding="utf-8").splitlines()
    if not line.startswith("#")
)
# Attributes that may be requested as metrics; reports cannot be sorted by them.
ATTRIBUTES = frozenset(
    ("ad_material_id", "material_primary_status", "material_second_status_list", "operation_status")
)


@dataclass(frozen=True, kw_only=True)
class MaterialQuery:
    """A validated request; `first` and `last` are None for a lifetime report.

    Attributes:
        advertising: The advertising dimension; None in a breakdown report.
        elements: The dimensions of materials and settings.
        time: The time dimension.
        ids: The filter by ids of campaigns, ad groups or ads: its name and the ids.
        element_ids: The ids to which each dimension of `ELEMENTS` is limited.
        types: The main material types to which the report is limited; None for all.
    """

    advertiser_id: str
    dimensions: tuple[str, ...]
    advertising: str | None
    elements: tuple[str, ...]
    time: str | None
    metrics: tuple[str, ...]
    ids: tuple[str, frozenset[str]] | None
    element_ids: Mapping[str, frozenset[str]]
    types: frozenset[str] | None
    first: date | None
    last: date | None
    sort_field: str
    descending: bool
    page: int
    page_size: int


def parse_material_query(params: Params, *, is_overview: bool) -> MaterialQuery:
    """Parse and validate a request.

    Raises:
        ApiError: 40002 or 40011, a parameter is missing, malformed or cannot be combined with another.
    """
    advertiser_id = params.identifier("advertiser_id")
    dimensions = tuple(params.texts("dimensions") or ())
    if not dimensions:
        raise bad_parameter("dimensions", MISSING)
    known = (*ADVERTISING, *ELEMENTS) if is_overview else (*ELEMENTS, *TIMES)
    for index, name in enumerate(dimensions):
        parse_choice(name, f"dimensions.{index}", known)
    advertising = [name for name in dimensions if name in ADVERTISING]
    elements = tuple(name for name in dimensions if name in ELEMENTS)
    times = [name for name in dimensions if name in TIMES]
    _check_grouping(dimensions, advertising, elements, times, is_overview=is_overview)
    filtering: dict[str, Any] = params.json_value("filtering", dict) or {}
    lifetime = is_overview and params.boolean("query_lifetime")
    time = next(iter(times), None)
    first, last = (None, None) if lifetime else _parse_window(params, time)
    sort_field = params.text("sort_field") or "spend"
    if sort_field not in METRICS:
        raise bad_parameter("sort_field", "Must be a supported metric that is not an attribute.")
    page, page_size = params.page(MAX_PAGE_SIZE)
    return MaterialQuery(
        advertiser_id=advertiser_id,
        dimensions=dimensions,
        advertising=next(iter(advertising), None),
        elements=elements,
        time=time,
        metrics=_parse_metrics(params),
        ids=_parse_id_filter(filtering, next(iter(advertising), None)),
        element_ids=_parse_element_ids(filtering, is_overview=is_overview),
        types=_parse_types(filtering, is_overview=is_overview),
        first=first,
        last=last,
        sort_field=sort_field,
        descending=params.choice("sort_type", ("ASC", "DESC"), "DESC") == "DESC",
        page=page,
        page_size=page_size,
    )


def _check_grouping(
    dimensions: tuple[str, ...],
    advertising: list[str],
    elements: tuple[str, ...],
    times: list[str],
    *,
    is_overview: bool,
) -> None:
    """Check the groupings: an overview has two dimensions, a breakdown elements and at most one time."""
    if len(set(dimensions)) != len(dimensions) or not elements or len(times) > 1:
        raise metrics_conflict()
    if is_overview and (len(advertising) != 1 or len(elements) != 1):
        raise metrics_conflict()


def _parse_window(params: Params, time: str | None) -> tuple[date, date]:
    first, last = params.required_date("start_date"), params.required_date("end_date")
    if last < first:
        raise bad_parameter("end_date", "Must not be earlier than start_date.")
    allowed = MAX_DAYS_APART_BY_HOUR if time == "stat_time_hour" else MAX_DAYS_APART
    if (last - first).days > allowed:
        raise bad_parameter("end_date", f"The time difference must not exceed {allowed} days.")
    return first, last


def _parse_metrics(params: Params) -> tuple[str, ...]:
    names = params.texts("metrics")
    if names is None:
        return DEFAULT_METRICS
    if wrong := [name for name in names if name not in METRICS and name not in ATTRIBUTES]:
        raise invalid_metrics(wrong)
    return tuple(dict.fromkeys(names))


def _parse_id_filter(filtering: Mapping[str, Any], advertising: str | None) -> tuple[str, frozenset[str]] | None:
    """Return the one id filter, which is not finer than the advertising dimension but for `advertiser_id`."""
    given = [name for name in ID_FILTERS if filtering.get(name) is not None]
    if not given:
        return None
    if len(given) > 1:
        raise bad_parameter(f"filtering.{given[1]}", f"Cannot be combined with the filter {given[0]}.")
    (name,) = given
    levels = list(ADVERTISING.values())
    if (
        advertising
        and advertising != "advertiser_id"
        and levels.index(name) > list(ADVERTISING).index(advertising)
    ):
        raise bad_parameter(f"filtering.{name}", f"Cannot be combined with the dimension {advertising}.")
    return name, frozenset(parse_ids(filtering[name], f"filtering.{name}", MAX_FILTER_IDS))


def _parse_element_ids(filtering: Mapping[str, Any], *, is_overview: bool) -> dict[str, frozenset[str]]:
    """Return the filters by ids of elements.

    The page on breakdown reports gives their names without the plural s, its request schema with it
    (api-evangelist/tiktok-ads openapi/), so those accept both.
    """
    found: dict[str, frozenset[str]] = {}
    for dimension in ELEMENTS:
        names = (f"{dimension}s",) if is_overview else (dimension, f"{dimension}s")
        for name in names:
            if filtering.get(name) is not None:
                ids = parse_texts(filtering[name], f"filtering.{name}")
                found[dimension] = found.get(dimension, frozenset()) | frozenset(ids)
    if sum(map(len, found.values())) > MAX_ELEMENT_IDS:
        raise bad_parameter("filtering", f"At most {MAX_ELEMENT_IDS} ids of materials and settings are allowed.")
    return found


def _parse_types(filtering: Mapping[str, Any], *, is_overview: bool) -> frozenset[str] | None:
    given = filtering.get("main_material_types")
    path = "filtering.main_material_types"
    if is_overview and filtering.get(f"{MAIN_MATERIAL}s") is not None and len(given or ()) != 1:
        raise bad_parameter(path, f"Exactly one type is required with the filter {MAIN_MATERIAL}s.")
    if given is None:
        return None
    return frozenset(
        parse_choice(one, f"{path}.{index}", MATERIAL_TYPES) for index, one in enumerate(parse_texts(given, path))
    )
