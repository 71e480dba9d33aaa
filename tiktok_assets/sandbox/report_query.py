"""A report request checked against the rules of dossier 6.1-6.4, before any data is looked at."""

from dataclasses import dataclass
from datetime import date

from tiktok_assets.sandbox.errors import ApiError, bad_parameter, conflict, invalid_metrics
from tiktok_assets.sandbox.levels import ATTRIBUTES, LEVELS, DataLevel
from tiktok_assets.sandbox.metrics import ACCOUNT_ONLY, DEFAULT, is_numeric
from tiktok_assets.sandbox.params import MISSING, Params
from tiktok_assets.sandbox.report_filters import ReportFilter, filters_of

REPORT_TYPES = ("BASIC", "AUDIENCE", "PLAYABLE_MATERIAL", "CATALOG", "BC", "TT_SHOP")
OLD_LEVELS = ("RESERVATION_AD", "RESERVATION_ADGROUP", "RESERVATION_CAMPAIGN", "RESERVATION_ADVERTISER")
ID_DIMENSIONS = ("advertiser_id", "campaign_id", "adgroup_id", "ad_id", "ad_id_v2")
TIME_DIMENSIONS = ("stat_time_day", "stat_time_hour")
BREAKDOWNS = (  # known to the API (dossier 6.2), not imitated yet
    *("country_code", "ad_type", "custom_event_type", "event_source_id", "page_id", "component_name"),
    *("room_id", "post_id", "image_id", "video_material_id", "search_terms", "search_keyword"),
    *("match_type", "skan_postback_sequence"),
)
# Longest window by time dimension, both ends counted (dossier 6.3).
WINDOW_DAYS = {"stat_time_hour": 1, "stat_time_day": 30, None: 365}


@dataclass(frozen=True, kw_only=True)
class ReportQuery:
    """A sound report request; `first` and `last` are None for a lifetime report."""

    advertiser_id: str
    level: DataLevel
    dimensions: tuple[str, ...]
    time_dimension: str | None
    metrics: tuple[str, ...]
    first: date | None
    last: date | None
    filters: tuple[ReportFilter, ...]
    order_field: str | None
    descending: bool
    page: int
    page_size: int
    totals: bool


def parse(params: Params) -> ReportQuery:
    """Return the checked request, or raise 40002 (or 40011) naming what is wrong."""
    report_type = params.choice("report_type", REPORT_TYPES)
    if report_type != "BASIC":
        raise bad_parameter("report_type", f"This sandbox imitates BASIC reports only, not {report_type}.")
    advertiser_id = _advertiser_id(params)
    params.choice("service_type", ("AUCTION", "RESERVATION"), "AUCTION")
    params.choice("query_mode", ("REGULAR", "CHUNK"), "REGULAR")
    level = LEVELS.get(name := params.choice("data_level", (*LEVELS, *OLD_LEVELS)))
    if level is None:
        raise bad_parameter("data_level", f"{name} is deprecated.")
    dimensions, time_dimension = _dimensions(params, level)
    lifetime = params.boolean("query_lifetime")
    first, last = (None, None) if lifetime else _window(params, time_dimension)
    if lifetime and time_dimension:
        raise bad_parameter("dimensions", f"{time_dimension} is not supported when query_lifetime is true.")
    metrics = _metrics(params, level, time_dimension)
    order_field = params.text("order_field")
    if order_field is not None and not is_numeric(order_field):
        raise bad_parameter("order_field", "Must be a non-attribute metric.")
    order_type = params.choice("order_type", ("ASC", "DESC"), "DESC")
    page, page_size = params.page()
    return ReportQuery(
        advertiser_id=advertiser_id,
        level=level,
        dimensions=dimensions,
        time_dimension=time_dimension,
        metrics=metrics,
        first=first,
        last=last,
        filters=filters_of(params.decoded("filtering", list), level),
        order_field=order_field,
        descending=order_type == "DESC",
        page=page,
        page_size=page_size,
        totals=params.boolean("enable_total_metrics"),
    )


def _advertiser_id(params: Params) -> str:
    several = params.texts("advertiser_ids")  # wins over advertiser_id, at most five (dossier 6.1)
    if several is None:
        return params.identifier("advertiser_id")
    if len(several) != 1:
        raise bad_parameter("advertiser_ids", "This sandbox imitates reports over one account only.")
    return several[0]


def _dimensions(params: Params, level: DataLevel) -> tuple[tuple[str, ...], str | None]:
    names = params.texts("dimensions")
    if not names:
        raise bad_parameter("dimensions", MISSING)
    for index, name in enumerate(names):
        if name not in (*ID_DIMENSIONS, *TIME_DIMENSIONS, *BREAKDOWNS):
            raise bad_parameter(f"dimensions.{index}", f"{name} is not a valid dimension.")
        if name in BREAKDOWNS:
            raise bad_parameter(f"dimensions.{index}", f"{name} is not imitated by this sandbox.")
    ids = [name for name in names if name in ID_DIMENSIONS]
    times = [name for name in names if name in TIME_DIMENSIONS]
    # One id dimension matching the level, at most one time dimension (dossier 6.1); a parent's id is
    # a metric, not a dimension (6.2). Only the account itself may go unnamed (6.5).
    if len(times) > 1 or len(set(names)) != len(names):
        raise conflict()
    if len(ids) > 1 or any(name not in level.id_dimensions for name in ids):
        raise bad_parameter(
            "dimensions",
            f"{ids!r} do not match data_level {level.name}; use exactly one of "
            f"{list(level.id_dimensions)!r} and ask for parent ids as metrics.",
        )
    if not ids and level.name != "AUCTION_ADVERTISER":
        raise bad_parameter("dimensions", f"An id dimension is required with data_level {level.name}.")
    return tuple(names), next(iter(times), None)


def _window(params: Params, time_dimension: str | None) -> tuple[date, date]:
    first, last = params.day("start_date"), params.day("end_date")
    if last < first:
        raise bad_parameter("end_date", "Must not be earlier than start_date.")
    allowed = WINDOW_DAYS[time_dimension]
    if (last - first).days + 1 > allowed:
        raise bad_parameter("end_date", f"The time range must not exceed {allowed} day(s).")
    return first, last


def _metrics(params: Params, level: DataLevel, time_dimension: str | None) -> tuple[str, ...]:
    names = params.texts("metrics")
    if names is None:
        return DEFAULT
    account_daily = level.name == "AUCTION_ADVERTISER" and time_dimension == "stat_time_day"
    wrong = [
        name
        for name in names
        if not (is_numeric(name) or name in ATTRIBUTES[level.name])
        or (name in ACCOUNT_ONLY and not account_daily)  # dossier 6.6, 9 #3
    ]
    if wrong:
        raise invalid_metrics(wrong)
    if len({"ad_id", "ad_id_v2"} & {*names, *(params.texts("dimensions") or ())}) > 1:  # dossier 5.7
        raise ApiError(40002, "ad_id and ad_id_v2 cannot be used in one query.")
    return tuple(dict.fromkeys(names))
