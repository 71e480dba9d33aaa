"""The schema `marts`: months, currencies and landing pages, summed where a sum is true and recomputed where not.

Only additive metrics are summed, and never across currencies; rates, ratios and cost-pers are recomputed from the
sums; reach, frequency and results are left out, since no sum of them is one.
"""

from tiktok_assets.spec.metrics import METRICS_BY_API_NAME, METRICS_BY_NAME, Metric, recomputable, summable
from tiktok_assets.storage.views import Tables, View, ViewColumn, names_of
from tiktok_assets.storage.web_addresses import TABLE

SCHEMA = "marts"
LANDING_PAGES = f"{SCHEMA}.ad_landing_pages"

_SUMMED_TYPES = {"money": "DECIMAL(38, 4)", "count": "BIGINT"}
_UTM = ("utm_source", "utm_medium", "utm_campaign", "utm_content", "utm_term")
_SPLIT_MEANINGS = {
    "base_url": "the landing page without its parameters",
    "url_host": "the host of the landing page, as a browser reads it; without user and port",
    "url_path": "the path of the landing page, / for its root",
    **{name: f"{name} of the landing page, or else of the parameters TikTok adds" for name in _UTM},
}

_LEVELS = ("advertiser", "campaign", "ad_group", "ad")
_NAMES = {
    "advertiser": (),
    "campaign": ("campaign",),
    "ad_group": ("campaign", "ad_group"),
    "ad": ("campaign", "ad_group", "ad"),
}


def marts(tables: Tables) -> list[View]:
    """The marts whose sources are there."""
    found = [_landing_pages()] if "ads" in tables else []
    if "advertiser_report_daily" in tables:
        found += [_by_currency(tables, "daily"), _by_currency(tables, "monthly")]
    found += [_monthly(tables, level) for level in _LEVELS if f"{level}_report_daily" in tables]
    if {"ads", "ad_report_daily"} <= tables.keys():
        found.append(_landing_page_daily(tables))
    return found


def measures(columns: tuple[str, ...], of: str = "") -> tuple[ViewColumn, ...]:
    """The sums of what may be summed, and what can be recomputed from them.

    Args:
        columns: of the report that is summed.
        of: the report's alias in the query, with its dot.
    """
    sums = tuple(METRICS_BY_NAME[name] for name in summable(columns))
    return (
        *(ViewColumn(one.name, _sum_of(one, of), one.meaning) for one in sums),
        *(
            ViewColumn(one.name, _recomputed(one, of), f"{one.meaning}; recomputed from the sums")
            for one in recomputable(columns)
        ),
    )


def _sum_of(metric: Metric, of: str) -> str:
    return f'CAST(sum({of}"{metric.name}") AS {_SUMMED_TYPES[metric.kind]})'


def _recomputed(metric: Metric, of: str) -> str:
    quotient = metric.quotient
    if not quotient:
        raise ValueError(metric.name)
    top, bottom = (METRICS_BY_API_NAME[name].name for name in (quotient.top, quotient.bottom))
    value = f'{quotient.times} * CAST(sum({of}"{top}") AS DOUBLE) / nullif(sum({of}"{bottom}"), 0)'
    return f"TRY_CAST({value} AS DECIMAL(18, 4))" if metric.kind == "money" else value


def _by_currency(tables: Tables, period: str) -> View:
    table = "advertiser_report_daily"
    daily = period == "daily"
    when = (
        ViewColumn("date", '"date"', "the calendar day, each account's own")
        if daily
        else ViewColumn("month", _MONTH, "first day of the month")
    )
    return View(
        SCHEMA,
        f"currency_{period}",
        f"What all accounts of one currency cost and brought in a {'day' if daily else 'month'};"
        " there is no total of several currencies.",
        (
            when,
            ViewColumn("currency", "currency", "ISO 4217; every amount of the row is in it"),
            ViewColumn("advertisers", "count(DISTINCT advertiser_id)", "accounts with delivery"),
            ViewColumn("is_complete", "bool_and(is_complete)", "whether every day was read when it was whole"),
            *measures(names_of(tables, table)),
        ),
        f"FROM main.{table} GROUP BY ALL",
    )


_MONTH = "CAST(date_trunc('month', \"date\") AS DATE)"


def _monthly(tables: Tables, level: str) -> View:
    table = f"{level}_report_daily"
    return View(
        SCHEMA,
        f"{level}_monthly",
        f"What each {level.replace('_', ' ')} cost and brought in a month of the account's days.",
        (
            ViewColumn("advertiser_id", "advertiser_id", "the ad account"),
            ViewColumn("month", _MONTH, "first day of the month"),
            *(ViewColumn(f"{one}_id", f"{one}_id", f"the {one.replace('_', ' ')}") for one in _NAMES[level]),
            *(
                ViewColumn(
                    f"{one}_name", f'arg_max({one}_name, "date")', f"the {one.replace('_', ' ')}'s newest name"
                )
                for one in _NAMES[level]
            ),
            ViewColumn("currency", "currency", "ISO 4217; every amount of the row is in it"),
            ViewColumn("days", 'count(DISTINCT "date")', "days with delivery"),
            ViewColumn("is_complete", "bool_and(is_complete)", "whether every day was read when it was whole"),
            *measures(names_of(tables, table)),
        ),
        f"FROM main.{table} GROUP BY ALL",
    )


def _landing_pages() -> View:
    return View(
        SCHEMA,
        "ad_landing_pages",
        "The landing page of each ad that has one, in its parts.",
        (
            ViewColumn("advertiser_id", "advertiser_id", "the ad account"),
            ViewColumn("ad_id", "ad_id", "the ad"),
            ViewColumn("landing_page_url", "landing_page_url", "where a click leads"),
            ViewColumn("base_url", "regexp_extract(landing_page_url, '^[^?#]*')", _SPLIT_MEANINGS["base_url"]),
            ViewColumn("url_host", "url_host", _SPLIT_MEANINGS["url_host"]),
            ViewColumn("url_path", "coalesce(url_path, '/')", _SPLIT_MEANINGS["url_path"]),
            *(ViewColumn(name, _utm(name), _SPLIT_MEANINGS[name]) for name in _UTM),
        ),
        f"FROM main.ads LEFT JOIN {TABLE} USING (landing_page_url) WHERE nullif(landing_page_url, '') IS NOT NULL",
    )


def _part(pattern: str) -> str:
    return f"regexp_extract(landing_page_url, '{pattern}', 1)"


def _utm(name: str) -> str:
    """The parameter of the link, decoded where it is sound, or the one TikTok is told to add."""
    raw = _part(rf"^[^?#]*\?(?:[^#]*?&)?{name}=([^&#]*)")
    added = (
        "list_filter(TRY_CAST(TRY_CAST(utm_params AS JSON) AS STRUCT(key VARCHAR, value VARCHAR)[]),"
        f" lambda one: one.key = '{name}')[1].value"
    )
    return f"coalesce(nullif(coalesce(TRY(url_decode(replace({raw}, '+', ' '))), {raw}), ''), {added})"


def _landing_page_daily(tables: Tables) -> View:
    return View(
        SCHEMA,
        "landing_page_daily",
        "What the ads of each landing page cost and brought on a day; ads without a landing page are left out.",
        (
            ViewColumn("advertiser_id", "r.advertiser_id", "the ad account"),
            ViewColumn("date", 'r."date"', "the account's calendar day"),
            *(ViewColumn(name, f"p.{name}", meaning) for name, meaning in _SPLIT_MEANINGS.items()),
            ViewColumn("currency", "r.currency", "ISO 4217; every amount of the row is in it"),
            ViewColumn("is_complete", "bool_and(r.is_complete)", "whether the day was read when it was whole"),
            *measures(names_of(tables, "ad_report_daily"), "r."),
        ),
        f"FROM main.ad_report_daily AS r JOIN {LANDING_PAGES} AS p USING (advertiser_id, ad_id) GROUP BY ALL",
    )
