"""Define the views of `dbt_tiktok_ads` and `ad_reporting`, with the names and columns of Fivetran's dbt packages.

Names and order of columns follow fivetran/dbt_tiktok_ads 1.5.0-a1 and fivetran/dbt_ad_reporting 2.3.0, the newest
that could be read; docs/tables.md says which list is from where. The differences: `source_relation` is empty,
reach is TikTok's value for the day, days are in the account's time zone, the account's report is not summed from
its ads, and a metric that was not requested, or that TikTok does not serve, is null instead of zero.
"""

from collections.abc import Iterable, Sequence

from tiktok_assets.spec import METRICS_BY_NAME
from tiktok_assets.storage.dbt_staging_views import DBT_SCHEMA, build_staging_views
from tiktok_assets.storage.marts import LANDING_PAGES_VIEW
from tiktok_assets.storage.views import Tables, View, ViewColumn, column_names

AD_REPORTING_SCHEMA = "ad_reporting"

_MEASURES: tuple[tuple[str, str], ...] = (
    ("impressions", "impressions"),
    ("clicks", "clicks"),
    ("spend", "spend"),
    ("reach", "reach"),
    ("conversion", "conversion"),
    ("likes", "likes"),
    ("comments", "comments"),
    ("shares", "shares"),
    ("profile_visits", "profile_visits"),
    ("follows", "follows"),
    ("video_watched_2_s", "video_watched_2s"),
    ("video_watched_6_s", "video_watched_6s"),
    ("video_views_p_25", "video_views_p25"),
    ("video_views_p_50", "video_views_p50"),
    ("video_views_p_75", "video_views_p75"),
    ("real_time_conversion", "real_time_conversion"),
    ("total_purchase_value", "total_purchase_value"),
    ("total_sales_lead_value", "total_sales_lead_value"),
)
"""The measures of the five reports: the name in the dbt model, and our metric."""

_COUNTRY_MEASURES = ("clicks", "impressions", "spend", "conversion", "real_time_conversion")

_TYPES = {"money": "DECIMAL(18, 4)", "count": "BIGINT"}
_VALUES = ("total_purchase_value", "total_sales_lead_value")
_VALUES_HINT = "request it with TIKTOK_METRICS=+total_purchase_value,+total_sales_lead_value"

_RATES: tuple[tuple[str, str, str], ...] = (
    ("daily_cpc", "TRY_CAST(r.spend / nullif(r.clicks, 0) AS DECIMAL(18, 4))", "cost per click"),
    (
        "daily_cpm",
        "TRY_CAST(1000 * CAST(r.spend AS DOUBLE) / nullif(r.impressions, 0) AS DECIMAL(18, 4))",
        "cost per thousand impressions",
    ),
    (
        "daily_ctr",
        "100 * CAST(r.clicks AS DOUBLE) / nullif(r.impressions, 0)",
        "clicks per impression, in percent",
    ),
)


def _in_account_currency(amount: str) -> str:
    """Return an expression for an amount in the account's currency; null in rows of another currency."""
    return f"CASE WHEN coalesce(a.currency, r.currency) = r.currency THEN {amount} END"


_SOURCE = ViewColumn("source_relation", "''", "always empty, because there is one source")
_DAY = ViewColumn("date_day", 'r."date"', "the account's calendar day")
_ACCOUNT = (
    ViewColumn("advertiser_id", "r.advertiser_id", "the ad account"),
    ViewColumn("advertiser_name", "a.name", "the account's name"),
)
_CURRENCY = ViewColumn("currency", "r.currency", "ISO 4217 code; the currency of every amount of the row")
_CAMPAIGN = (
    ViewColumn("campaign_id", "r.campaign_id", "the campaign"),
    ViewColumn("campaign_name", "coalesce(c.campaign_name, r.campaign_name)", "the campaign's latest name"),
)
_AD_GROUP = (
    ViewColumn("ad_group_id", "r.ad_group_id", "the ad group"),
    ViewColumn("ad_group_name", "coalesce(g.ad_group_name, r.ad_group_name)", "the ad group's latest name"),
)
_TARGETING = (
    ViewColumn(
        "category",
        "json_extract_string(g.extra, '$.category_id')",
        "the ad group's category, if TikTok returns it",
    ),
    ViewColumn("gender", "g.gender", "the targeted gender of the ad group"),
    ViewColumn(
        "audience_type",
        "json_extract_string(g.extra, '$.audience_type')",
        "the ad group's audience type, if TikTok returns it",
    ),
    ViewColumn("budget", _in_account_currency("g.budget"), "the ad group's budget; null in another currency"),
)
_AD = (
    ViewColumn("ad_id", "r.ad_id", "the ad; in an upgraded Smart+ campaign the creative"),
    ViewColumn("ad_name", "coalesce(d.ad_name, r.ad_name)", "the ad's latest name"),
)
_URL = tuple(
    ViewColumn(name, f"p.{name}", f"see marts.ad_landing_pages.{name}")
    for name in (
        *("landing_page_urls", "base_url", "url_host", "url_path"),
        *("utm_source", "utm_medium", "utm_campaign", "utm_content", "utm_term"),
    )
)
_JOINS = {
    "advertiser": "LEFT JOIN main.advertisers AS a ON a.advertiser_id = r.advertiser_id",
    "campaign": "LEFT JOIN main.campaigns AS c"
    " ON c.advertiser_id = r.advertiser_id AND c.campaign_id = r.campaign_id",
    "ad_group": "LEFT JOIN main.ad_groups AS g"
    " ON g.advertiser_id = r.advertiser_id AND g.ad_group_id = r.ad_group_id",
    "ad": "LEFT JOIN main.ads AS d ON d.advertiser_id = r.advertiser_id AND d.ad_id = r.ad_id",
    "url": f"JOIN {LANDING_PAGES_VIEW} AS p ON p.advertiser_id = r.advertiser_id AND p.ad_id = r.ad_id",
}

_REPORTS: tuple[tuple[str, str, tuple[ViewColumn, ...], tuple[str, ...]], ...] = (
    ("advertiser", "advertiser", (*_ACCOUNT, _CURRENCY), ("advertiser",)),
    ("campaign", "campaign", (*_ACCOUNT, *_CAMPAIGN, _CURRENCY), ("advertiser", "campaign")),
    (
        "ad_group",
        "ad_group",
        (*_ACCOUNT, *_CAMPAIGN, *_AD_GROUP, _CURRENCY, *_TARGETING),
        ("advertiser", "campaign", "ad_group"),
    ),
    (
        "ad",
        "ad",
        (*_ACCOUNT, *_CAMPAIGN, *_AD_GROUP, *_AD, _CURRENCY, *_TARGETING),
        ("advertiser", "campaign", "ad_group", "ad"),
    ),
    (
        "url",
        "ad",
        (*_ACCOUNT, *_CAMPAIGN, *_AD_GROUP, *_AD, *_URL, _CURRENCY, *_TARGETING),
        ("advertiser", "campaign", "ad_group", "ad", "url"),
    ),
)
"""The five models: name, level of the source report, descriptive columns, and the joins they need."""

_COUNTRY_TABLE = "campaign_audience_country_daily"
_COMMON = {
    "advertiser_id": "account_id",
    "advertiser_name": "account_name",
    "conversion": "conversions",
    "total_conversion_value": "conversions_value",
}
_MONEY_MEASURES = {"spend", "total_conversion_value"}
_PLATFORM = ViewColumn("platform", "'tiktok_ads'", "always tiktok_ads")
_UNKNOWN_COUNTRY = ViewColumn("country", "CAST(NULL AS VARCHAR)", "always null: only the country's code is stored")
_UNKNOWN_REGION = ViewColumn("global_region", "CAST(NULL AS VARCHAR)", "always null: regions are not stored")
_COMMON_MEASURES = ("clicks", "impressions", "spend", "conversion", "total_conversion_value")
_PLATFORM_SPECIFIC = {"currency", "landing_page_urls", *(column.name for column in _TARGETING)}
_UNKNOWN_LOCATION = tuple(
    ViewColumn(
        name, f"CAST(NULL AS {kind})", f"{meaning}; always null, because TikTok's list of locations is not read"
    )
    for name, kind, meaning in (
        ("country_name", "VARCHAR", "the country's name"),
        ("location_id", "VARCHAR", "TikTok's id of the country"),
        ("parent_location_id", "VARCHAR", "TikTok's id of what the country belongs to"),
        ("has_support_below_18", "BOOLEAN", "whether people under 18 can be targeted"),
    )
)


def build_dbt_views(tables: Tables) -> list[View]:
    """Return the models whose source reports exist, then those with the columns common to all platforms."""
    reports = [
        View(
            DBT_SCHEMA,
            f"tiktok_ads__{name}_report",
            f"Each {name.replace('_', ' ')} by day, with the columns of tiktok_ads__{name}_report.",
            (_SOURCE, _DAY, *described, *_measure_columns(column_names(tables, f"{level}_report_daily"))),
            f"FROM main.{level}_report_daily AS r " + " ".join(_JOINS[one] for one in joins),
        )
        for name, level, described, joins in _REPORTS
        if f"{level}_report_daily" in tables
    ]
    common = [_common_view(view) for view in reports]
    countries = [_country_view(tables), _monthly_country_view()] if _COUNTRY_TABLE in tables else []
    return [*build_staging_views(tables), *reports, *common, *countries]


def _measure_column(name: str, metric_name: str, columns: tuple[str, ...]) -> ViewColumn:
    metric = METRICS_BY_NAME[metric_name]
    if metric_name in columns:
        return ViewColumn(name, f"r.{metric_name}", metric.meaning)
    return ViewColumn(
        name, f"CAST(NULL AS {_TYPES[metric.kind]})", f"{metric.meaning}; null because it was not requested"
    )


def _rate_columns(columns: tuple[str, ...]) -> tuple[ViewColumn, ...]:
    chosen = {"spend", "clicks", "impressions"} <= set(columns)
    return tuple(
        ViewColumn(name, sql if chosen else "CAST(NULL AS DOUBLE)", f"{meaning}, from the day's counts")
        for name, sql, meaning in _RATES
    )


def _measure_columns(columns: tuple[str, ...]) -> tuple[ViewColumn, ...]:
    values = [f"r.{name}" for name in _VALUES if name in columns]
    total = " + ".join(f"coalesce({value}, 0)" for value in values) or "CAST(NULL AS DECIMAL(18, 4))"
    return (
        *(_measure_column(name, metric_name, columns) for name, metric_name in _MEASURES),
        ViewColumn("total_conversion_value", total, f"value of purchases and leads in the app; {_VALUES_HINT}"),
        *_rate_columns(columns),
    )


def _country_view(tables: Tables) -> View:
    columns = column_names(tables, _COUNTRY_TABLE)
    measured = {name: _measure_column(name, name, columns) for name in _COUNTRY_MEASURES}
    *counts, real_time = measured.values()
    return View(
        DBT_SCHEMA,
        "tiktok_ads__campaign_country_report",
        "Campaign by day and country, with the columns of tiktok_ads__campaign_country_report.",
        (
            _SOURCE,
            _DAY,
            *_CAMPAIGN,
            ViewColumn("campaign_type", "c.campaign_type", "REGULAR_CAMPAIGN or IOS14_CAMPAIGN"),
            ViewColumn("created_at", "c.create_time", "when the campaign was created"),
            ViewColumn("country_code", "r.country_code", "ISO country code"),
            *_ACCOUNT,
            _CURRENCY,
            ViewColumn("objective_type", "c.objective_type", "advertising objective of the campaign"),
            ViewColumn("status", "c.secondary_status", "delivery status of the campaign"),
            ViewColumn(
                "split_test_variable",
                "json_extract_string(c.extra, '$.split_test_variable')",
                "the variable of a split test, if TikTok returns it",
            ),
            ViewColumn(
                "budget", _in_account_currency("c.budget"), "the campaign's budget; null in another currency"
            ),
            ViewColumn("budget_mode", "c.budget_mode", "whether the budget is daily, total or unlimited"),
            *_UNKNOWN_LOCATION,
            *counts,
            *_rate_columns(columns),
            real_time,
        ),
        f"FROM main.{_COUNTRY_TABLE} AS r {_JOINS['advertiser']} {_JOINS['campaign']}",
    )


def _common_view(view: View) -> View:
    """Return the model of `dbt_ad_reporting` that corresponds to a report.

    Its report of URLs has no ads, so that rows of several ads with one URL are summed there.
    """
    name = view.name.removeprefix("tiktok_ads__").replace("advertiser", "account")
    measures = {column.name for column in _measure_columns(())}
    left_out = _PLATFORM_SPECIFIC | ({"ad_id", "ad_name"} if name == "url_report" else set())
    described = [c for c in view.columns if c.name not in measures | left_out]
    counted = [c for wanted in _COMMON_MEASURES for c in view.columns if c.name == wanted]
    keys = [ViewColumn(_COMMON.get(c.name, c.name), c.name, c.meaning) for c in described]
    sums = [ViewColumn(_COMMON.get(c.name, c.name), c.name, c.meaning) for c in counted]
    grouping = ""
    if name == "url_report":
        sums = [ViewColumn(c.name, _sum_expression(c.expression), c.meaning) for c in sums]
        grouping = _group_by(c.expression for c in keys)
    return _ad_reporting_view(name, [*keys[:2], _PLATFORM, *keys[2:], *sums], f"FROM {view.full_name}{grouping}")


def _monthly_country_view() -> View:
    meanings = {name: METRICS_BY_NAME[name].meaning for name in _COUNTRY_MEASURES}
    keys = (
        _SOURCE,
        ViewColumn("date_month", "CAST(date_trunc('month', date_day) AS DATE)", "first day of the month"),
        _PLATFORM,
        ViewColumn("account_id", "advertiser_id", "the ad account"),
        ViewColumn("account_name", "advertiser_name", "the account's name"),
        ViewColumn("campaign_id", "campaign_id", "the campaign"),
        ViewColumn("campaign_name", "campaign_name", "the campaign's latest name"),
        _UNKNOWN_COUNTRY,
        ViewColumn("country_code", "country_code", "ISO country code"),
        _UNKNOWN_REGION,
    )
    sums = [
        ViewColumn(_COMMON.get(name, name), _sum_expression(name), meanings[name])
        for name in ("clicks", "impressions", "spend", "conversion")
    ]
    value = ViewColumn(
        "conversions_value", "CAST(NULL AS DECIMAL(38, 4))", "always null: TikTok serves no value by country"
    )
    constant = {_SOURCE, _PLATFORM, _UNKNOWN_COUNTRY, _UNKNOWN_REGION}
    grouping = _group_by(c.expression for c in keys if c not in constant)
    source = f"FROM {DBT_SCHEMA}.tiktok_ads__campaign_country_report{grouping}"
    return _ad_reporting_view("monthly_campaign_country_report", [*keys, *sums, value], source)


def _ad_reporting_view(name: str, columns: Sequence[ViewColumn], source: str) -> View:
    return View(
        AD_REPORTING_SCHEMA,
        f"{AD_REPORTING_SCHEMA}__{name}",
        f"The columns of {AD_REPORTING_SCHEMA}__{name} of dbt_ad_reporting, which are common to all platforms;"
        " amounts are in each account's currency, for which that package has no column.",
        tuple(columns),
        source,
    )


def _sum_expression(measure: str) -> str:
    kind = "DECIMAL(38, 4)" if measure in _MONEY_MEASURES else "BIGINT"
    return f"CAST(sum({measure}) AS {kind})"


def _group_by(expressions: Iterable[str]) -> str:
    """Return the grouping by these expressions, and by currency, so that different currencies are not added up."""
    return f" GROUP BY {', '.join([*expressions, 'currency'])}"
