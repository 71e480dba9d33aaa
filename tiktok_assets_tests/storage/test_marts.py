"""Tests of the warehouse's views: documented names and columns, and sums that equal the stored rows."""

import json
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pytest

from tiktok_assets.creatives.columns import (
    CREATIVE_DAILY,
    CREATIVE_DAILY_COLUMNS,
    CREATIVES,
    CREATIVES_COLUMNS,
    RATES,
    SUMMED_METRICS,
)
from tiktok_assets.creatives.daily import read_ads, update_creative_days
from tiktok_assets.creatives.summary import read_summary_sources, summarize_creatives
from tiktok_assets.ingest.entity_history import history_columns
from tiktok_assets.ingest.writer import refresh_advertisers, refresh_entity, refresh_report
from tiktok_assets.sandbox.world.model import WorldPlan
from tiktok_assets.spec.derived_tables import history_table_name
from tiktok_assets.spec.entities import ADS, ENTITIES, LISTED_ENTITIES, SMART_PLUS_ADS
from tiktok_assets.spec.metric_selection import METRICS_BY_NAME, STANDARD_METRICS, select_metrics, summable_columns
from tiktok_assets.spec.reports import DAILY_REPORTS, REPORTS_BY_TABLE, report_columns
from tiktok_assets.storage.duckdb_warehouse import SCHEMAS, build_views, build_warehouse
from tiktok_assets.storage.parquet_store import HiveStore, Partition
from tiktok_assets.storage.views import Tables
from tiktok_assets.tables.schema import build_schema, entity_columns
from tiktok_assets_tests.api.conftest import Host
from tiktok_assets_tests.ingest.conftest import granted_accounts, open_reader

COUNTRY = REPORTS_BY_TABLE["campaign_audience_country_daily"]
DAYS = [date(2026, 10, day) for day in (30, 31)] + [date(2026, 11, day) for day in (1, 2, 3)]
ENTITY_TABLES: Tables = {entity.table: entity_columns(entity) for entity in ENTITIES}
TABLES: Tables = {
    **ENTITY_TABLES,
    **{history_table_name(entity.table): history_columns(entity) for entity in (ADS, SMART_PLUS_ADS)},
    **{report.table: report_columns(report, STANDARD_METRICS) for report in (*DAILY_REPORTS, COUNTRY)},
    CREATIVES: CREATIVES_COLUMNS,
    CREATIVE_DAILY: CREATIVE_DAILY_COLUMNS,
}
LEVELS = {"advertiser": "advertiser_id", "campaign": "campaign_id", "ad_group": "ad_group_id", "ad": "ad_id"}

# Transcribed from the models of fivetran/dbt_tiktok_ads and fivetran/dbt_ad_reporting. The reports by advertiser,
# campaign, ad group and ad: 1.2.0, unchanged up to 1.5.0-a1 by its changelog. By URL and the histories: 1.5.0-a1
# (d74dd23). By country: 1.3.0, of which the model could be read before it had `location_id` (0671969); that column
# is where the changelog names it. Location: 1.3.0. dbt_ad_reporting: 2.3.0; the release
# notes of 2.6.1, 2.7.0 to 2.7.3 and 2.8.0 change no column of these models, 2.4.0 to 2.6.0 were not found.
ACCOUNT, CAMPAIGN = ["advertiser_id", "advertiser_name"], ["campaign_id", "campaign_name"]
AD_GROUP, AD = ["ad_group_id", "ad_group_name"], ["ad_id", "ad_name"]
URL = ["base_url", "url_host", "url_path", "utm_source", "utm_medium", "utm_campaign", "utm_content", "utm_term"]
TARGETING = ["category", "gender", "audience_type", "budget"]
MEASURES = [
    "impressions",
    "clicks",
    "spend",
    "reach",
    "conversion",
    "likes",
    "comments",
    "shares",
    "profile_visits",
    "follows",
    "video_watched_2_s",
    "video_watched_6_s",
    "video_views_p_25",
    "video_views_p_50",
    "video_views_p_75",
    "real_time_conversion",
    "total_purchase_value",
    "total_sales_lead_value",
    "total_conversion_value",
    "daily_cpc",
    "daily_cpm",
    "daily_ctr",
]
OPENING = ["source_relation", "date_day"]
FIVETRAN = {
    "advertiser": [*OPENING, *ACCOUNT, "currency", *MEASURES],
    "campaign": [*OPENING, *ACCOUNT, *CAMPAIGN, "currency", *MEASURES],
    "ad_group": [*OPENING, *ACCOUNT, *CAMPAIGN, *AD_GROUP, "currency", *TARGETING, *MEASURES],
    "ad": [*OPENING, *ACCOUNT, *CAMPAIGN, *AD_GROUP, *AD, "currency", *TARGETING, *MEASURES],
    "url": [
        *OPENING,
        *ACCOUNT,
        *CAMPAIGN,
        *AD_GROUP,
        *AD,
        "landing_page_urls",
        *URL,
        "currency",
        *TARGETING,
        *MEASURES,
    ],
    "campaign_country": [
        "source_relation",
        "date_day",
        "campaign_id",
        "campaign_name",
        "campaign_type",
        "created_at",
        "country_code",
        "advertiser_id",
        "advertiser_name",
        "currency",
        "objective_type",
        "status",
        "split_test_variable",
        "budget",
        "budget_mode",
        "country_name",
        "location_id",
        "parent_location_id",
        "has_support_below_18",
        "clicks",
        "impressions",
        "spend",
        "conversion",
        "daily_cpc",
        "daily_cpm",
        "daily_ctr",
        "real_time_conversion",
    ],
}
COMMON = ["clicks", "impressions", "spend", "conversions", "conversions_value"]
PLATFORM = [*OPENING, "platform", "account_id", "account_name"]
AD_REPORTING = {
    "account": [*PLATFORM, *COMMON],
    "campaign": [*PLATFORM, *CAMPAIGN, *COMMON],
    "ad_group": [*PLATFORM, *CAMPAIGN, *AD_GROUP, *COMMON],
    "ad": [*PLATFORM, *CAMPAIGN, *AD_GROUP, *AD, *COMMON],
    "url": [*PLATFORM, *CAMPAIGN, *AD_GROUP, *URL, *COMMON],
    "monthly_campaign_country": [
        "source_relation",
        "date_month",
        *PLATFORM[2:],
        *CAMPAIGN,
        "country",
        "country_code",
        "global_region",
        *COMMON,
    ],
}
STAGING = {
    "creative_history": [
        *("source_relation", "creative_id", "updated_at", "smart_plus_ad_id", "advertiser_id", "adgroup_id"),
        *("campaign_id", "video_id", "create_time", "creative_name", "campaign_name", "adgroup_name"),
        *("identity_id", "identity_type", "campaign_automation_type", "ad_text", "secondary_status"),
        *("operation_status", "image_ids", "is_most_recent_record"),
    ],
    "location": [
        *("source_relation", "location_id", "advertiser_id", "country_code", "region_name", "region_level"),
        *("area_type", "parent_location_id", "has_support_below_18", "_fivetran_synced"),
    ],
    "smart_plus_ad_history": [
        *("source_relation", "smart_plus_ad_id", "updated_at", "adgroup_id", "advertiser_id", "campaign_id"),
        *("ad_name", "campaign_name", "adgroup_name", "create_time", "operation_status", "secondary_status"),
        *("landing_page_url", "landing_page_urls", *URL, "tracking_info_click_tracking_url"),
        *("tracking_info_impression_tracking_url", "tracking_info_tracking_app_id"),
        *("tracking_info_tracking_message_event_set_id", "identity_id", "identity_type", "dark_post_status"),
        *("product_specific_type", "product_set_id", "product_ids", "creative_auto_add_toggle"),
        *("catalog_creative_toggle", "end_card_cta", "product_display_field_list", "auto_disclaimer_types"),
        *("fallback_type", "call_to_action_id", "product_info_selling_points", "phone_info_phone_region_code"),
        *("phone_info_phone_region_calling_code", "phone_info_phone_number", "ad_text_list"),
        *("auto_message_list", "call_to_action_list", "interactive_add_on_list", "page_list"),
        *("custom_product_page_list", "deeplink_list", "is_most_recent_record"),
    ],
}


@pytest.fixture(scope="module")
def agency_store(tmp_path_factory: pytest.TempPathFactory) -> HiveStore:
    """Five days of the demo agency across the end of a month, in dollars, yen and euros."""
    store = HiveStore(str(tmp_path_factory.mktemp("agency") / "data"))
    with Host.run(WorldPlan()) as host, open_reader(host) as one:
        accounts = granted_accounts(host)
        ids = [account.advertiser_id for account in accounts]
        refresh_advertisers(one.reader, store, ids)
        for entity in LISTED_ENTITIES:
            list(refresh_entity(one.reader, store, entity, ids))
        for report in (*DAILY_REPORTS, COUNTRY):
            list(refresh_report(one.reader, store, report, dict.fromkeys(accounts, DAYS)))
    for owner in ids:
        ads = read_ads(store, owner)
        days = update_creative_days(store, owner, ads)
        store.write(CREATIVE_DAILY, Partition(owner), days.rows, metadata=days.metadata)
        rows = summarize_creatives(ads, days.rows, read_summary_sources(store, owner), None, 0)
        store.write(CREATIVES, Partition(owner), rows)
    return store


@pytest.fixture(scope="module")
def warehouse(
    agency_store: HiveStore, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[duckdb.DuckDBPyConnection]:
    """The warehouse of these days, opened as by an analyst."""
    meanings = dict.fromkeys(TABLES, "what it holds")
    path = build_warehouse(agency_store, tmp_path_factory.mktemp("state"), TABLES, meanings).path
    with duckdb.connect(path, read_only=True) as connection:
        yield connection


def select(connection: duckdb.DuckDBPyConnection, columns: str, source: str, rest: str = "") -> list[Any]:
    """Run a query on the warehouse."""
    return connection.execute(f"SELECT {columns} FROM {source} {rest}").fetchall()  # noqa: S608 - fixed text


def columns_of(connection: duckdb.DuckDBPyConnection, view: str) -> list[str]:
    """Return the columns of a view, in order."""
    return [str(row[0]) for row in connection.execute(f"DESCRIBE {view}").fetchall()]


def stored(store: HiveStore, table: str) -> pl.DataFrame:
    """Read all stored rows of a table."""
    return store.scan(table, build_schema(TABLES[table])).collect()


@pytest.mark.slow
@pytest.mark.parametrize("name", FIVETRAN)
def test_models_have_the_columns_of_dbt_tiktok_ads(warehouse: duckdb.DuckDBPyConnection, name: str) -> None:
    """Each model of dbt_tiktok_ads exists under its name, with exactly its columns in order."""
    assert columns_of(warehouse, f"dbt_tiktok_ads.tiktok_ads__{name}_report") == FIVETRAN[name]


@pytest.mark.slow
@pytest.mark.parametrize("name", AD_REPORTING)
def test_models_have_the_columns_of_dbt_ad_reporting(warehouse: duckdb.DuckDBPyConnection, name: str) -> None:
    """Each report of dbt_ad_reporting that TikTok is part of exists under its name, with its columns in order."""
    view = f"ad_reporting.ad_reporting__{name}_report"
    assert columns_of(warehouse, view) == AD_REPORTING[name]
    assert select(warehouse, "DISTINCT platform", view) == [("tiktok_ads",)]


@pytest.mark.slow
@pytest.mark.parametrize("name", STAGING)
def test_staging_models_have_the_columns_of_dbt_tiktok_ads(
    warehouse: duckdb.DuckDBPyConnection, name: str
) -> None:
    """The staging models of Smart+ and locations exist, with exactly their columns in order."""
    assert columns_of(warehouse, f"dbt_tiktok_ads.stg_tiktok_ads__{name}") == STAGING[name]


def test_staging_models_have_the_smart_plus_ads(
    warehouse: duckdb.DuckDBPyConnection, agency_store: HiveStore
) -> None:
    """Each Smart+ ad and creative has one newest record, whose id is that of the reports; locations are empty."""
    creatives = stored(agency_store, "ads").filter(pl.col("smart_plus_ad_id").is_not_null())
    history = "dbt_tiktok_ads.stg_tiktok_ads__creative_history"
    newest = "WHERE is_most_recent_record ORDER BY ALL"
    wanted = creatives.select("ad_id", "smart_plus_ad_id", "ad_name", "ad_group_id")
    what = "creative_id, smart_plus_ad_id, creative_name, adgroup_id"
    assert select(warehouse, what, history, newest) == sorted(wanted.rows())
    assert wanted.height > 3
    spend = "SELECT count(*) FROM ad_report_daily WHERE ad_id IN (SELECT creative_id FROM "
    assert warehouse.execute(f"{spend}{history})").fetchall() != [(0,)]
    ads = {row["smart_plus_ad_id"]: row for row in stored(agency_store, SMART_PLUS_ADS.table).to_dicts()}
    what = "smart_plus_ad_id, ad_name, landing_page_url, landing_page_urls, base_url, url_host, updated_at"
    rows = select(warehouse, what, "dbt_tiktok_ads.stg_tiktok_ads__smart_plus_ad_history", newest)
    assert {row[0] for row in rows} == ads.keys()
    for ad_id, name, page, pages, base, host, updated in rows:
        (url,) = json.loads(ads[ad_id]["landing_page_url_list"])
        assert (name, page, pages) == (ads[ad_id]["ad_name"], url["landing_page_url"], url["landing_page_url"])
        assert page.startswith(base)
        assert host in base
        assert updated is not None
    assert select(warehouse, "count(*)", "dbt_tiktok_ads.stg_tiktok_ads__location") == [(0,)]


def test_reports_of_all_platforms_have_the_sums_of_their_models(warehouse: duckdb.DuckDBPyConnection) -> None:
    """By URL without ads, and by month and country, sums are those of the models, each amount once."""
    for view, model, key in (
        ("url", "url", "account_id, campaign_id, base_url, utm_source"),
        ("monthly_campaign_country", "campaign_country", "account_id, campaign_id, country_code"),
    ):
        own = key.replace("account_id", "advertiser_id")
        sums = "sum(spend), sum(impressions), sum(clicks)"
        found = select(
            warehouse, f"{key}, {sums}", f"ad_reporting.ad_reporting__{view}_report", "GROUP BY ALL ORDER BY ALL"
        )
        assert found == select(
            warehouse, f"{own}, {sums}", f"dbt_tiktok_ads.tiktok_ads__{model}_report", "GROUP BY ALL ORDER BY ALL"
        )
        assert len(found) > 5
    months = select(warehouse, "DISTINCT date_month", "ad_reporting.ad_reporting__monthly_campaign_country_report")
    assert {str(month) for (month,) in months} == {"2026-10-01", "2026-11-01"}


@pytest.mark.parametrize("level", LEVELS)
def test_model_rows_are_the_stored_rows(
    warehouse: duckdb.DuckDBPyConnection, agency_store: HiveStore, level: str
) -> None:
    """A model has one row per stored row, with its amounts, counts and TikTok's reach."""
    own = LEVELS[level]
    names = ["spend", "impressions", "clicks", "reach", "conversion", "likes"]
    what = f"advertiser_id, date_day, {own}, {', '.join(names)}, currency"
    rows = select(warehouse, what, f"dbt_tiktok_ads.tiktok_ads__{level}_report", "ORDER BY ALL")
    frame = stored(agency_store, f"{level}_report_daily")
    wanted = frame.select("advertiser_id", "date", pl.col(own).alias("own"), *names, "currency")
    assert rows == sorted(wanted.rows())
    assert len(rows) > 10


def test_models_have_no_null_keys(warehouse: duckdb.DuckDBPyConnection) -> None:
    """No row of a model has a null account, campaign or ad group, including deleted ones."""
    for name, columns in FIVETRAN.items():
        keys = [one for one in columns if one in {*ACCOUNT, *CAMPAIGN, *AD_GROUP, *AD, "currency", "base_url"}]
        nulls = " OR ".join(f"{key} IS NULL" for key in keys)
        view = f"dbt_tiktok_ads.tiktok_ads__{name}_report"
        assert select(warehouse, "count(*)", view, f"WHERE {nulls}") == [(0,)], name
        currencies = select(warehouse, "DISTINCT currency", view, "ORDER BY 1")
        assert currencies == [("EUR",), ("JPY",), ("USD",)]


def test_model_rates_follow_from_the_counts(warehouse: duckdb.DuckDBPyConnection) -> None:
    """Costs have four exact decimals, the click rate is in percent; without clicks there is no cost per click."""
    what = "spend, clicks, impressions, daily_cpc, daily_cpm, daily_ctr"
    rows = select(warehouse, what, "dbt_tiktok_ads.tiktok_ads__ad_report")
    assert rows
    for spend, clicks, impressions, cpc, cpm, ctr in rows:
        assert (cpc is None) == (clicks == 0)
        if clicks:
            assert abs(cpc * clicks - spend) <= clicks * cpc.__class__("0.00005")
        assert abs(cpm * impressions / 1000 - spend) <= impressions * cpm.__class__("0.00000005")
        assert ctr == pytest.approx(100 * clicks / impressions)


def test_marts_sum_only_additive_metrics(warehouse: duckdb.DuckDBPyConnection) -> None:
    """No mart has reach, frequency or results; other metrics are additive and summed, or recomputed."""
    marts = [view for view in build_views(TABLES) if view.schema == "marts" and view.name != "ad_landing_pages"]
    assert {view.name for view in marts} == {
        *(f"{level}_monthly" for level in (*LEVELS, "creative")),
        *("currency_daily", "currency_monthly", "landing_page_daily"),
    }
    for view in marts:
        columns = columns_of(warehouse, view.full_name)
        measured = [METRICS_BY_NAME[name] for name in columns if name in METRICS_BY_NAME]
        assert not {"reach", "frequency", "result", "cost_per_result"} & set(columns)
        assert all(metric.is_additive or metric.quotient for metric in measured)
        for column in view.columns:
            if "sum(" in column.expression and "/" not in column.expression and column.name != "watch_seconds":
                assert METRICS_BY_NAME[column.name].is_additive
        assert "currency" in columns


@pytest.mark.parametrize("level", LEVELS)
def test_months_are_the_sums_of_their_days(
    warehouse: duckdb.DuckDBPyConnection, agency_store: HiveStore, level: str
) -> None:
    """A month has the exact sums of its stored days, and rates that follow from them."""
    own, table = LEVELS[level], f"{level}_report_daily"
    frame = stored(agency_store, table).with_columns(month=pl.col("date").dt.truncate("1mo"))
    sums = summable_columns(frame.columns)
    keys = list(dict.fromkeys(["advertiser_id", "month", own]))
    wanted = frame.group_by(keys).agg(pl.col(sums).sum()).sort(keys)
    mart = f"marts.{level}_monthly"
    found = select(warehouse, ", ".join([*keys, *sums]), mart, f"ORDER BY {', '.join(keys)}")
    assert found == wanted.select(*keys, *sums).rows()
    for spend, clicks, impressions, cpc, ctr in select(warehouse, "spend, clicks, impressions, cpc, ctr", mart):
        assert cpc is None if not clicks else float(cpc) == pytest.approx(float(spend) / clicks, abs=0.0001)
        assert ctr == pytest.approx(100 * clicks / impressions)


def test_months_of_creatives_are_the_sums_of_their_days(
    warehouse: duckdb.DuckDBPyConnection, agency_store: HiveStore
) -> None:
    """A creative's month has the exact sums of its days, and the rates of `creatives` computed from them."""
    keys = ["advertiser_id", "month", "creative_id", "currency"]
    frame = stored(agency_store, CREATIVE_DAILY).with_columns(month=pl.col("date").dt.truncate("1mo"))
    wanted = frame.group_by(keys).agg(pl.col(SUMMED_METRICS).sum()).sort(keys)
    mart = "marts.creative_monthly"
    order = f"ORDER BY {', '.join(keys)}"
    assert select(warehouse, ", ".join([*keys, *SUMMED_METRICS]), mart, order) == wanted.rows()
    rates = [name for name in RATES if name != "average_watch_seconds"]  # its metric is not a standard one
    found = warehouse.execute(f"SELECT {', '.join(rates)} FROM {mart} {order}").fetchall()  # noqa: S608
    compared = 0
    for row, sums in zip(found, wanted.to_dicts(), strict=True):
        for name, value in zip(rates, row, strict=True):
            top, bottom = (float(sums[part]) for part in RATES[name].parts)
            factor = 100 if RATES[name].kind == "rate" else 1
            assert (value is None) == (bottom == 0), name
            if value is not None:
                assert float(value) == pytest.approx(factor * top / bottom, abs=0.0001), name
                compared += 1
    assert compared > 50
    months = select(warehouse, "DISTINCT month, is_complete, average_watch_seconds", mart, "ORDER BY 1")
    assert [(str(month), complete, watched) for month, complete, watched in months] == [
        ("2026-10-01", True, None),
        ("2026-11-01", True, None),
    ]
    named = select(warehouse, "count(*)", mart, "WHERE creative_name IS NULL")
    assert named == [(0,)]


def test_totals_are_per_currency(warehouse: duckdb.DuckDBPyConnection, agency_store: HiveStore) -> None:
    """There is one total per currency and day, each the sum of its own accounts."""
    frame = stored(agency_store, "advertiser_report_daily")
    wanted = frame.group_by("date", "currency").agg(pl.col("spend").sum()).sort("date", "currency")
    found = warehouse.execute("SELECT date, currency, spend FROM marts.currency_daily ORDER BY ALL").fetchall()
    assert found == wanted.rows()
    assert len(found) == 3 * len(DAYS)
    assert warehouse.execute("SELECT count(*) FROM marts.currency_monthly").fetchall() == [(3 * 2,)]


def test_landing_pages_have_the_spend_of_their_ads(
    warehouse: duckdb.DuckDBPyConnection, agency_store: HiveStore
) -> None:
    """Each ad counts once for its landing page, so that landing pages sum to the spend of these ads."""
    ads = stored(agency_store, "ads").filter(pl.col("landing_page_url").is_not_null())
    daily = stored(agency_store, "ad_report_daily").join(ads, on=["advertiser_id", "ad_id"], how="semi")
    wanted = daily.group_by("currency").agg(pl.col("spend").sum()).sort("currency").rows()
    assert wanted
    for view in ("marts.landing_page_daily", "dbt_tiktok_ads.tiktok_ads__url_report"):
        found = select(warehouse, "currency, sum(spend)", view, "GROUP BY 1 ORDER BY 1")
        assert found == wanted


def added_parameters(**params: str) -> str:
    """Return URL parameters that TikTok adds, in the form of the table `ads`."""
    return json.dumps([{"key": key, "value": value} for key, value in params.items()])


LINKS: list[tuple[str, str | None, dict[str, str | None]]] = [
    (
        "https://shop.example/a/b?utm_source=tik+tok&utm_medium=paid%20social&x=1#top",
        None,
        {
            "base_url": "https://shop.example/a/b",
            "url_host": "shop.example",
            "url_path": "/a/b",
            "utm_source": "tik tok",
            "utm_medium": "paid social",
            "utm_campaign": None,
        },
    ),
    ("https://shop.example", None, {"base_url": "https://shop.example", "url_path": "/", "utm_source": None}),
    ("https://shop.example?utm_term=%ff", None, {"url_host": "shop.example", "url_path": "/", "utm_term": "%ff"}),
    ("https://s.example/?xutm_source=no&utm_source=", None, {"url_path": "/", "utm_source": None}),
    ("https://s.example/#?utm_source=no", None, {"base_url": "https://s.example/", "utm_source": None}),
    ("https://s.example/p", added_parameters(utm_source="added"), {"utm_source": "added", "utm_medium": None}),
    ("https://s.example/p?utm_source=link", added_parameters(utm_source="added"), {"utm_source": "link"}),
    ("https://s.example/p", "not JSON", {"utm_source": None, "url_path": "/p"}),
    ("app://open/it?utm_content=c", None, {"url_host": "open", "url_path": "/it", "utm_content": "c"}),
    ("shop.example/a?b=1", None, {"url_host": "shop.example", "url_path": "/a"}),
    ("//shop.example/a", None, {"url_host": "shop.example", "url_path": "/a"}),
    ("shop.example:8080?b=1", None, {"url_host": "shop.example", "url_path": "/"}),
    ("https://me:secret@shop.example/a", None, {"url_host": "shop.example", "url_path": "/a"}),
    ("HTTPS://SHOP.Example/A", None, {"url_host": "shop.example", "url_path": "/A"}),
    ("https://shop.example:8443/a", None, {"url_host": "shop.example"}),
    ("https://b\u00fccher.example/a", None, {"url_host": "xn--bcher-kva.example"}),
    ("b\u00fccher.example", None, {"url_host": "xn--bcher-kva.example"}),
    ("https:\\\\shop.example\\a", None, {"url_host": "shop.example", "url_path": "/a"}),
    (" https://shop.example/a ", None, {"url_host": "shop.example", "url_path": "/a"}),
    ("http://[::1]:8080/a", None, {"url_host": "[::1]"}),
    ("mailto:me@shop.example", None, {"url_host": None}),
    ("tel:+49-30-1", None, {"url_host": None}),
    ("https://", None, {"url_host": None, "url_path": "/"}),
    ("https://a b/", None, {"url_host": None}),
    ("/a/b", None, {"url_host": None}),
    ("nonsense", None, {"base_url": "nonsense", "url_host": None, "url_path": "/", "utm_source": None}),
]


def test_landing_page_url_is_split_into_parts(tmp_path: Path) -> None:
    """Host, path and UTM parameters of every URL are split or null; an invalid URL raises no error."""
    store = HiveStore(str(tmp_path / "data"))
    schema = build_schema(ENTITY_TABLES["ads"])
    rows: list[dict[str, Any]] = [
        {"advertiser_id": "1", "ad_id": str(n), "landing_page_url": url, "utm_params": params}
        for n, (url, params, _) in enumerate(LINKS)
    ]
    rows += [{"advertiser_id": "1", "ad_id": "none"}, {"advertiser_id": "1", "ad_id": "", "landing_page_url": ""}]
    frame = pl.DataFrame(rows, schema).with_columns(fetched_at=pl.lit(datetime(2026, 1, 1, tzinfo=UTC)))
    store.write(ADS.table, Partition("1"), frame)
    path = build_warehouse(store, tmp_path / "state", ENTITY_TABLES).path
    with duckdb.connect(path, read_only=True) as connection:
        names = columns_of(connection, "marts.ad_landing_pages")
        found = [dict(zip(names, row, strict=True)) for row in select(connection, "*", "marts.ad_landing_pages")]
    parts = {row["ad_id"]: row for row in found}
    assert parts.keys() == {str(n) for n in range(len(LINKS))}
    for number, (url, _, wanted) in enumerate(LINKS):
        assert {name: parts[str(number)][name] for name in wanted} == wanted, url


def test_smart_plus_creative_without_a_page_has_the_first_of_its_ad(tmp_path: Path) -> None:
    """A Smart+ creative has its own page, else the first of its ad in the alphabet; all pages are beside it."""
    store = HiveStore(str(tmp_path / "data"))
    pages = [{"landing_page_url": url} for url in ("https://b.example/x?utm_source=tt", "https://a.example/y", "")]
    smart_plus = [
        {"advertiser_id": "1", "smart_plus_ad_id": "8", "landing_page_url_list": json.dumps(pages)},
        {"advertiser_id": "1", "smart_plus_ad_id": "9", "landing_page_url_list": "broken"},
    ]
    own = {"landing_page_url": "https://own.example/"}
    ads: list[dict[str, Any]] = [
        {"advertiser_id": "1", "ad_id": "80", "smart_plus_ad_id": "8"},
        {"advertiser_id": "1", "ad_id": "81", "smart_plus_ad_id": "8", **own},
        {"advertiser_id": "1", "ad_id": "90", "smart_plus_ad_id": "9"},
        {"advertiser_id": "1", "ad_id": "95", **own},
    ]
    for table, rows in (("ads", ads), (SMART_PLUS_ADS.table, smart_plus)):
        store.write(table, Partition("1"), pl.DataFrame(rows, build_schema(ENTITY_TABLES[table])))
    path = build_warehouse(store, tmp_path / "state", ENTITY_TABLES).path
    both = "https://a.example/y, https://b.example/x?utm_source=tt"
    with duckdb.connect(path, read_only=True) as connection:
        what = "ad_id, landing_page_url, landing_page_urls, url_host, url_path"
        found = select(connection, what, "marts.ad_landing_pages", "ORDER BY 1")
    assert found == [
        ("80", "https://a.example/y", both, "a.example", "/y"),
        ("81", "https://own.example/", both, "own.example", "/"),
        ("95", "https://own.example/", None, "own.example", "/"),
    ]


def test_view_exists_only_if_its_tables_exist() -> None:
    """Without a report its models and marts are missing; the country model needs the country report."""
    assert {view.name for view in build_views(ENTITY_TABLES)} == {"ad_landing_pages", "stg_tiktok_ads__location"}
    plain = {name: columns for name, columns in TABLES.items() if name != COUNTRY.table}
    names = {view.full_name for view in build_views(TABLES)} - {view.full_name for view in build_views(plain)}
    assert names == {
        "dbt_tiktok_ads.tiktok_ads__campaign_country_report",
        "ad_reporting.ad_reporting__monthly_campaign_country_report",
    }


@pytest.mark.slow
@pytest.mark.parametrize(
    "choice", ["spend", "clicks,impressions", "+total_purchase_value,+total_sales_lead_value"]
)
def test_models_keep_their_columns_for_any_metrics(tmp_path: Path, choice: str) -> None:
    """A model has the same columns for any selection of metrics; others are null with their type."""
    metrics = select_metrics(choice)
    tables = {
        **ENTITY_TABLES,
        **{report.table: report_columns(report, metrics) for report in (*DAILY_REPORTS, COUNTRY)},
    }
    path = build_warehouse(HiveStore(str(tmp_path / "data")), tmp_path / "state", tables).path
    with duckdb.connect(path, read_only=True) as connection:
        for name, columns in FIVETRAN.items():
            assert columns_of(connection, f"dbt_tiktok_ads.tiktok_ads__{name}_report") == columns
        types = connection.execute(
            "SELECT column_name, data_type FROM duckdb_columns() WHERE table_name = 'tiktok_ads__ad_report'"
        ).fetchall()
    type_of = dict(types)
    assert (type_of["spend"], type_of["impressions"], type_of["total_purchase_value"]) == (
        "DECIMAL(18,4)",
        "BIGINT",
        "DECIMAL(18,4)",
    )


def test_every_table_view_and_column_has_a_comment(warehouse: duckdb.DuckDBPyConnection) -> None:
    """Each table, view and column of the file has a comment, and each schema has a view."""
    without_comment = warehouse.execute(
        "SELECT table_name AS name FROM duckdb_tables() WHERE NOT internal AND comment IS NULL"
        " UNION ALL SELECT view_name FROM duckdb_views() WHERE NOT internal AND comment IS NULL"
        " UNION ALL SELECT table_name || '.' || column_name FROM duckdb_columns()"
        " WHERE NOT internal AND nullif(comment, '') IS NULL"
    ).fetchall()
    assert without_comment == []
    found = warehouse.execute("SELECT DISTINCT schema_name FROM duckdb_views() WHERE NOT internal").fetchall()
    assert {name for (name,) in found} == set(SCHEMAS)


def test_views_work_in_an_attached_file(agency_store: HiveStore, tmp_path: Path) -> None:
    """If a BI tool attaches the file under another name, its views still find their tables."""
    path = build_warehouse(agency_store, tmp_path / "state", TABLES).path
    with duckdb.connect() as connection:
        connection.execute(f"ATTACH '{path}' AS tiktok (READ_ONLY)")
        for view in build_views(TABLES):
            rows = select(connection, "count(*)", f"tiktok.{view.full_name}")
            assert (rows == [(0,)]) == (view.name == "stg_tiktok_ads__location")
