"""Parse and validate a report request (API notes 6.1-6.4)."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date

from tiktok_assets.sandbox.http.errors import ApiError, bad_parameter, invalid_metrics, metrics_conflict
from tiktok_assets.sandbox.http.params import MISSING, Params
from tiktok_assets.sandbox.reads.breakdowns import (
    AUDIENCE_METRICS,
    BREAKDOWNS,
    EXTRA_METRICS,
    UNSUPPORTED_AUDIENCE_DIMENSIONS,
)
from tiktok_assets.sandbox.reads.data_levels import ATTRIBUTES, LEVELS, DataLevel
from tiktok_assets.sandbox.reads.entity_filters import MAX_IDS
from tiktok_assets.sandbox.reads.report_filters import ReportFilter, parse_filters
from tiktok_assets.sandbox.world.metrics import ACCOUNT_METRICS, DEFAULT_METRICS, is_numeric

REPORT_TYPES = ("BASIC", "AUDIENCE", "PLAYABLE_MATERIAL", "CATALOG", "BC", "TT_SHOP")
DEPRECATED_LEVELS = ("RESERVATION_AD", "RESERVATION_ADGROUP", "RESERVATION_CAMPAIGN", "RESERVATION_ADVERTISER")
ID_DIMENSIONS = ("advertiser_id", "campaign_id", "adgroup_id", "ad_id", "ad_id_v2")
TIME_DIMENSIONS = ("stat_time_day", "stat_time_hour")
UNSUPPORTED_DIMENSIONS = (  # of the API (API notes 6.2), not imitated here
    *("ad_type", "custom_event_type", "event_source_id", "page_id", "component_name"),
    *("room_id", "post_id", "image_id", "video_material_id", "search_terms", "search_keyword"),
    *("match_type", "skan_postback_sequence"),
)
# The longest window by time dimension, in days with both ends (API notes 6.3).
MAX_WINDOW_DAYS = {"stat_time_hour": 1, "stat_time_day": 30, None: 365}


@dataclass(frozen=True, kw_only=True)
class ReportQuery:
    """A validated report request; `first` and `last` are None for a lifetime report."""

    advertiser_id: str
    is_audience: bool
    level: DataLevel
    dimensions: tuple[str, ...]
    breakdowns: tuple[str, ...]
    time_dimension: str | None
    metrics: tuple[str, ...]
    first: date | None
    last: date | None
    filters: tuple[ReportFilter, ...]
    order_field: str | None
    descending: bool
    page: int
    page_size: int
    with_totals: bool


def parse_query(
    params: Params,
    *,
    old_lifetime: bool = False,
    withdrawn: Collection[str] = (),
    named: bool = True,
    limits_days: bool = True,
    max_filter_ids: int = MAX_IDS,
) -> ReportQuery:
    """Parse and validate a report request.

    Args:
        params: The parameters of the request.
        old_lifetime: Whether `lifetime` of v1.2 is accepted too.
        withdrawn: Metrics to refuse as unknown ones.
        named: Whether the error for withdrawn metrics names them.
        limits_days: Whether the number of days is limited; that of a task is not.
        max_filter_ids: How many ids a filter can have.

    Raises:
        ApiError: 40002 or 40011, a parameter is missing, malformed or cannot be combined with another.
    """
    report_type = params.choice("report_type", REPORT_TYPES)
    if report_type not in ("BASIC", "AUDIENCE"):
        raise bad_parameter(
            "report_type", f"This sandbox imitates BASIC, AUDIENCE and TT_SHOP, not {report_type}."
        )
    audience = report_type == "AUDIENCE"
    advertiser_id = _parse_advertiser_id(params)
    params.choice("service_type", ("AUCTION", "RESERVATION"), "AUCTION")
    params.choice("query_mode", ("REGULAR", "CHUNK"), "REGULAR")
    level = LEVELS.get(name := params.choice("data_level", (*LEVELS, *DEPRECATED_LEVELS)))
    if level is None:
        raise bad_parameter("data_level", f"{name} is deprecated.")
    dimensions, time_dimension = _parse_dimensions(params, level, audience=audience)
    breakdowns = _parse_breakdowns(dimensions, time_dimension, audience=audience)
    # The name of v1.2 seems to work too (contract of report/integrated/get; by API notes 1.4 it is ignored).
    lifetime = params.boolean("query_lifetime") or (old_lifetime and params.text("lifetime") == "true")
    first, last = (None, None) if lifetime else _parse_window(params, time_dimension, is_limited=limits_days)
    other_dimension = next(iter(breakdowns), time_dimension)
    if lifetime and (audience or other_dimension):  # API notes 6.1
        raise bad_parameter("query_lifetime", f"Not supported with {other_dimension}.")
    metrics = _parse_metrics(params, level, time_dimension)
    if audience and not _are_audience_metrics(metrics, breakdowns):
        raise metrics_conflict()
    if refused := [name for name in metrics if name in withdrawn]:
        raise invalid_metrics(refused) if named else metrics_conflict()
    order_field = params.text("order_field")
    if order_field is not None and not is_numeric(order_field):
        raise bad_parameter("order_field", "Must be a non-attribute metric.")
    order_type = params.choice("order_type", ("ASC", "DESC"), "DESC")
    page, page_size = params.page()
    return ReportQuery(
        advertiser_id=advertiser_id,
        is_audience=audience,
        level=level,
        dimensions=dimensions,
        breakdowns=breakdowns,
        time_dimension=time_dimension,
        metrics=metrics,
        first=first,
        last=last,
        filters=_parse_filters(params, level, dimensions, metrics, max_filter_ids),
        order_field=order_field,
        descending=order_type == "DESC",
        page=page,
        page_size=page_size,
        with_totals=params.boolean("enable_total_metrics"),
    )


def _parse_advertiser_id(params: Params) -> str:
    ids = params.texts("advertiser_ids")  # takes precedence over advertiser_id, at most five (API notes 6.1)
    if ids is None:
        return params.identifier("advertiser_id")
    if len(ids) != 1:
        raise bad_parameter("advertiser_ids", "This sandbox imitates reports over one account only.")
    return ids[0]


def _parse_dimensions(params: Params, level: DataLevel, *, audience: bool) -> tuple[tuple[str, ...], str | None]:
    names = params.texts("dimensions")
    if not names:
        raise bad_parameter("dimensions", MISSING)
    for index, name in enumerate(names):
        known = BREAKDOWNS if audience else ("country_code",)
        if name in (UNSUPPORTED_AUDIENCE_DIMENSIONS if audience else UNSUPPORTED_DIMENSIONS):
            raise bad_parameter(f"dimensions.{index}", f"{name} is not imitated by this sandbox.")
        if name not in (*ID_DIMENSIONS, *TIME_DIMENSIONS, *known):
            raise bad_parameter(f"dimensions.{index}", f"{name} is not a valid dimension.")
    ids = [name for name in names if name in ID_DIMENSIONS]
    times = [name for name in names if name in TIME_DIMENSIONS]
    # One id dimension of the level and at most one time dimension (API notes 6.1); the id of a parent is a metric,
    # not a dimension (6.2). Only the account's id may be missing (6.5).
    if len(times) > 1 or len(set(names)) != len(names):
        raise metrics_conflict()
    if len(ids) > 1 or any(name not in level.id_dimensions for name in ids):
        raise bad_parameter(
            "dimensions",
            f"{ids!r} do not match data_level {level.name}; use exactly one of "
            f"{list(level.id_dimensions)!r} and ask for parent ids as metrics.",
        )
    if not ids and level.name != "AUCTION_ADVERTISER":
        raise bad_parameter("dimensions", f"An id dimension is required with data_level {level.name}.")
    return tuple(names), next(iter(times), None)


def _parse_breakdowns(
    dimensions: tuple[str, ...], time_dimension: str | None, *, audience: bool
) -> tuple[str, ...]:
    breakdowns = tuple(name for name in dimensions if name in BREAKDOWNS)
    if audience and not breakdowns:
        raise bad_parameter("dimensions", "An audience dimension is required with report_type AUDIENCE.")
    # One breakdown, or age with gender; not by hour, and interests not by day (API notes 6.2).
    if len(breakdowns) > 1 and set(breakdowns) != {"age", "gender"}:
        raise metrics_conflict()
    by_day = time_dimension == "stat_time_day"
    if breakdowns and (
        time_dimension == "stat_time_hour"
        or (by_day and not all(BREAKDOWNS[one].allows_days for one in breakdowns))
    ):
        raise metrics_conflict()
    return breakdowns


def _parse_filters(
    params: Params, level: DataLevel, dimensions: tuple[str, ...], metrics: tuple[str, ...], max_ids: int
) -> tuple[ReportFilter, ...]:
    filters = parse_filters(params.json_value("filtering", list), level, dimensions, max_ids)
    named = {*dimensions, *metrics, *(one.attribute for one in filters)}
    if {"ad_id", "ad_id_v2"} <= named:  # API notes 5.7
        raise ApiError(40002, "ad_id and ad_id_v2 cannot be used in one query.")
    return filters


def _parse_window(params: Params, time_dimension: str | None, *, is_limited: bool) -> tuple[date, date]:
    first, last = params.required_date("start_date"), params.required_date("end_date")
    if last < first:
        raise bad_parameter("end_date", "Must not be earlier than start_date.")
    allowed = MAX_WINDOW_DAYS[time_dimension]
    if is_limited and (last - first).days + 1 > allowed:
        raise bad_parameter("end_date", f"The time range must not exceed {allowed} day(s).")
    return first, last


def _are_audience_metrics(metrics: tuple[str, ...], breakdowns: tuple[str, ...]) -> bool:
    """Return whether an AUDIENCE report has all of these metrics; it has every attribute."""
    allowed = AUDIENCE_METRICS.union(*(EXTRA_METRICS.get(one, frozenset()) for one in breakdowns))
    return all(name in allowed or not is_numeric(name) for name in metrics)


def _parse_metrics(params: Params, level: DataLevel, time_dimension: str | None) -> tuple[str, ...]:
    names = params.texts("metrics")
    if names is None:
        return DEFAULT_METRICS
    account_daily = level.name == "AUCTION_ADVERTISER" and time_dimension == "stat_time_day"
    wrong = [
        name
        for name in names
        if not (is_numeric(name) or name in ATTRIBUTES[level.name])
        or (name in ACCOUNT_METRICS and not account_daily)  # API notes 6.6, 9 #3
    ]
    if wrong:
        raise invalid_metrics(wrong)
    return tuple(dict.fromkeys(names))
