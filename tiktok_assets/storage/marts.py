"""Define the views of the schema `marts`: metrics by month, by currency, by creative and by landing page.

Additive metrics are summed, never across currencies. Rates, ratios and costs are recomputed from the sums. Reach,
frequency and results are left out, because they cannot be summed.
"""

from tiktok_assets.spec import (
    CREATIVE_RATES,
    METRICS_BY_API_NAME,
    METRICS_BY_NAME,
    WATCH_SECONDS,
    CreativeRate,
    Metric,
    recomputable_metrics,
    summable_columns,
)
from tiktok_assets.storage.duckdb_loading import LANDING_PAGES_TABLE, SMART_PLUS_PAGES
from tiktok_assets.storage.views import Tables, View, ViewColumn, column_names

MARTS_SCHEMA = "marts"
LANDING_PAGES_VIEW = f"{MARTS_SCHEMA}.ad_landing_pages"

_SUM_TYPES = {"money": "DECIMAL(38, 4)", "count": "BIGINT"}
_UTM_PARAMETERS = ("utm_source", "utm_medium", "utm_campaign", "utm_content", "utm_term")
_URL_PART_MEANINGS = {
    "base_url": "the landing page's URL without its parameters",
    "url_host": "the host of the landing page, as a browser parses it; without user and port",
    "url_path": "the path of the landing page; / for the root",
    **{
        name: f"{name} of the landing page's URL, or else of the parameters TikTok adds"
        for name in _UTM_PARAMETERS
    },
}

_LEVELS = ("advertiser", "campaign", "ad_group", "ad")
_NAMED_LEVELS = {
    "advertiser": (),
    "campaign": ("campaign",),
    "ad_group": ("campaign", "ad_group"),
    "ad": ("campaign", "ad_group", "ad"),
}


def build_marts(tables: Tables) -> list[View]:
    """Return the views whose source tables exist."""
    found = [_landing_pages_view(tables)] if "ads" in tables else []
    if "advertiser_report_daily" in tables:
        found += [_currency_view(tables, "daily"), _currency_view(tables, "monthly")]
    found += [_monthly_view(tables, level) for level in _LEVELS if f"{level}_report_daily" in tables]
    if {"creatives", "creative_daily", "ad_report_daily"} <= tables.keys():
        found.append(_creative_monthly_view(tables))
    if {"ads", "ad_report_daily"} <= tables.keys():
        found.append(_landing_page_daily_view(tables))
    return found


def measure_columns(columns: tuple[str, ...], prefix: str = "") -> tuple[ViewColumn, ...]:
    """Return view columns with the sums of additive metrics, and the averages recomputed from them.

    Args:
        columns: the columns of the report that is summed.
        prefix: the report's alias in the query with a dot, or "".
    """
    sums = tuple(METRICS_BY_NAME[name] for name in summable_columns(columns))
    return (
        *(ViewColumn(one.name, _sum_expression(one, prefix), one.meaning) for one in sums),
        *(
            ViewColumn(one.name, _quotient_expression(one, prefix), f"{one.meaning}; recomputed from the sums")
            for one in recomputable_metrics(columns)
        ),
    )


def _sum_expression(metric: Metric, prefix: str) -> str:
    return f'CAST(sum({prefix}"{metric.name}") AS {_SUM_TYPES[metric.kind]})'


def _quotient_expression(metric: Metric, prefix: str) -> str:
    quotient = metric.quotient
    if not quotient:
        raise ValueError(metric.name)
    numerator, denominator = (
        METRICS_BY_API_NAME[name].name for name in (quotient.numerator, quotient.denominator)
    )
    value = (
        f'{quotient.factor} * CAST(sum({prefix}"{numerator}") AS DOUBLE) / nullif(sum({prefix}"{denominator}"), 0)'
    )
    return f"TRY_CAST({value} AS DECIMAL(18, 4))" if metric.kind == "money" else value


def _currency_view(tables: Tables, period: str) -> View:
    table = "advertiser_report_daily"
    daily = period == "daily"
    when = (
        ViewColumn("date", '"date"', "the calendar day in each account's time zone")
        if daily
        else ViewColumn("month", _MONTH_EXPRESSION, "first day of the month")
    )
    return View(
        MARTS_SCHEMA,
        f"currency_{period}",
        f"Cost and results of all accounts of one currency by {'day' if daily else 'month'};"
        " different currencies are not added up.",
        (
            when,
            ViewColumn("currency", "currency", "ISO 4217 code; the currency of every amount of the row"),
            ViewColumn("advertisers", "count(DISTINCT advertiser_id)", "accounts with delivery"),
            ViewColumn("is_complete", "bool_and(is_complete)", "whether every day was complete when it was read"),
            *measure_columns(column_names(tables, table)),
        ),
        f"FROM main.{table} GROUP BY ALL",
    )


_MONTH_EXPRESSION = "CAST(date_trunc('month', \"date\") AS DATE)"


def _monthly_view(tables: Tables, level: str) -> View:
    table = f"{level}_report_daily"
    return View(
        MARTS_SCHEMA,
        f"{level}_monthly",
        f"Cost and results of each {level.replace('_', ' ')} by month, in the account's time zone.",
        (
            ViewColumn("advertiser_id", "advertiser_id", "the ad account"),
            ViewColumn("month", _MONTH_EXPRESSION, "first day of the month"),
            *(
                ViewColumn(f"{one}_id", f"{one}_id", f"the {one.replace('_', ' ')}")
                for one in _NAMED_LEVELS[level]
            ),
            *(
                ViewColumn(
                    f"{one}_name", f'arg_max({one}_name, "date")', f"the {one.replace('_', ' ')}'s latest name"
                )
                for one in _NAMED_LEVELS[level]
            ),
            ViewColumn("currency", "currency", "ISO 4217 code; the currency of every amount of the row"),
            ViewColumn("days", 'count(DISTINCT "date")', "days with delivery"),
            ViewColumn("is_complete", "bool_and(is_complete)", "whether every day was complete when it was read"),
            *measure_columns(column_names(tables, table)),
        ),
        f"FROM main.{table} GROUP BY ALL",
    )


def _creative_monthly_view(tables: Tables) -> View:
    measures = measure_columns(column_names(tables, "creative_daily"), "r.")
    known = {column.name for column in measures}
    return View(
        MARTS_SCHEMA,
        "creative_monthly",
        "Cost, results and rates of each video, post or set of images by month, over all ads that use it.",
        (
            ViewColumn("advertiser_id", "r.advertiser_id", "the ad account"),
            ViewColumn("month", _MONTH_EXPRESSION.replace('"date"', 'r."date"'), "first day of the month"),
            ViewColumn("creative_id", "r.creative_id", "the creative, see creatives.creative_id"),
            ViewColumn("creative_kind", "r.creative_kind", "video, post, images, or ad"),
            ViewColumn("creative_name", "any_value(c.creative_name)", "the creative's latest name"),
            ViewColumn("currency", "r.currency", "ISO 4217 code; the currency of every amount of the row"),
            ViewColumn("days", 'count(DISTINCT r."date")', "days with delivery"),
            ViewColumn(
                "is_complete", "bool_and(d.is_complete)", "whether every day was complete when it was read"
            ),
            *measures,
            ViewColumn(WATCH_SECONDS, f"sum(r.{WATCH_SECONDS})", "seconds watched; see creative_daily"),
            *(
                ViewColumn(name, _creative_rate_expression(rate), f"{rate.meaning}; from the sums of the month")
                for name, rate in CREATIVE_RATES.items()
                if name not in known
            ),
        ),
        "FROM main.creative_daily AS r"
        " LEFT JOIN main.creatives AS c USING (advertiser_id, creative_id, creative_kind)"
        ' LEFT JOIN (SELECT advertiser_id, "date", bool_and(is_complete) AS is_complete'
        ' FROM main.ad_report_daily GROUP BY ALL) AS d USING (advertiser_id, "date")'
        " GROUP BY ALL",
    )


def _creative_rate_expression(rate: CreativeRate) -> str:
    numerator, denominator = f"CAST(sum(r.{rate.numerator}) AS DOUBLE)", f"nullif(sum(r.{rate.denominator}), 0)"
    if rate.kind == "money":
        return f"TRY_CAST({numerator} / {denominator} AS DECIMAL(18, 4))"
    return f"{'100 * ' if rate.kind == 'rate' else ''}{numerator} / {denominator}"


def _landing_pages_view(tables: Tables) -> View:
    pages, smart_plus = "CAST(NULL AS VARCHAR[])", ""
    if "smart_plus_ads" in tables:
        pages = "s.pages"
        smart_plus = (
            f" LEFT JOIN (SELECT advertiser_id, smart_plus_ad_id, {SMART_PLUS_PAGES} AS pages"  # noqa: S608 - no input
            " FROM main.smart_plus_ads) AS s"
            " ON s.advertiser_id = a.advertiser_id AND s.smart_plus_ad_id = a.smart_plus_ad_id"
        )
    return View(
        MARTS_SCHEMA,
        "ad_landing_pages",
        "The landing page of each ad that has one, split into the parts of its URL.",
        (
            ViewColumn("advertiser_id", "advertiser_id", "the ad account"),
            ViewColumn("ad_id", "ad_id", "the ad"),
            ViewColumn(
                "landing_page_url",
                "landing_page_url",
                "URL that a click opens; of a Smart+ creative without one, the first of its ad in the alphabet",
            ),
            ViewColumn(
                "landing_page_urls", "landing_page_urls", "all landing pages of the Smart+ ad; null for other ads"
            ),
            *url_part_columns(),
        ),
        "FROM (SELECT a.advertiser_id, a.ad_id, a.utm_params,"  # noqa: S608 - no input
        f" coalesce(nullif(a.landing_page_url, ''), {pages}[1]) AS landing_page_url,"
        f" nullif(array_to_string({pages}, ', '), '') AS landing_page_urls FROM main.ads AS a{smart_plus}) AS page"
        f" LEFT JOIN {LANDING_PAGES_TABLE} USING (landing_page_url) WHERE landing_page_url IS NOT NULL",
    )


def url_part_columns() -> tuple[ViewColumn, ...]:
    """Return view columns with the parts of a URL, for a query with its columns and those of the landing pages.

    The query has `landing_page_url`, `utm_params` as JSON, and the columns of `LANDING_PAGES_TABLE`.
    """
    return (
        ViewColumn("base_url", "regexp_extract(landing_page_url, '^[^?#]*')", _URL_PART_MEANINGS["base_url"]),
        ViewColumn("url_host", "url_host", _URL_PART_MEANINGS["url_host"]),
        ViewColumn("url_path", "coalesce(url_path, '/')", _URL_PART_MEANINGS["url_path"]),
        *(ViewColumn(name, _utm_expression(name), _URL_PART_MEANINGS[name]) for name in _UTM_PARAMETERS),
    )


def _url_part_expression(pattern: str) -> str:
    return f"regexp_extract(landing_page_url, '{pattern}', 1)"


def _utm_expression(name: str) -> str:
    """Return a UTM parameter of the URL, decoded if it is valid, or else the one that TikTok adds."""
    raw = _url_part_expression(rf"^[^?#]*\?(?:[^#]*?&)?{name}=([^&#]*)")
    added = (
        "list_filter(TRY_CAST(TRY_CAST(utm_params AS JSON) AS STRUCT(key VARCHAR, value VARCHAR)[]),"
        f" lambda one: one.key = '{name}')[1].value"
    )
    return f"coalesce(nullif(coalesce(TRY(url_decode(replace({raw}, '+', ' '))), {raw}), ''), {added})"


def _landing_page_daily_view(tables: Tables) -> View:
    return View(
        MARTS_SCHEMA,
        "landing_page_daily",
        "Cost and results of each landing page's ads by day; ads without a landing page are left out.",
        (
            ViewColumn("advertiser_id", "r.advertiser_id", "the ad account"),
            ViewColumn("date", 'r."date"', "the account's calendar day"),
            *(ViewColumn(name, f"p.{name}", meaning) for name, meaning in _URL_PART_MEANINGS.items()),
            ViewColumn("currency", "r.currency", "ISO 4217 code; the currency of every amount of the row"),
            ViewColumn("is_complete", "bool_and(r.is_complete)", "whether the day was complete when it was read"),
            *measure_columns(column_names(tables, "ad_report_daily"), "r."),
        ),
        f"FROM main.ad_report_daily AS r JOIN {LANDING_PAGES_VIEW} AS p USING (advertiser_id, ad_id) GROUP BY ALL",
    )
