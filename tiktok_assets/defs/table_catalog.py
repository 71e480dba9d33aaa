"""List the tables that exist under the settings, with their columns, keys and descriptions."""

from collections.abc import Mapping, Sequence

from tiktok_assets.creatives import (
    CREATIVE_DAILY,
    CREATIVE_DAILY_COLUMNS,
    CREATIVE_DECLINES,
    CREATIVES,
    CREATIVES_COLUMNS,
    DECLINES_COLUMNS,
)
from tiktok_assets.duplication import DUPLICATIONS_COLUMNS, RESULTS_COLUMNS
from tiktok_assets.ingest import history_columns
from tiktok_assets.publish import StoredTable
from tiktok_assets.settings import Settings
from tiktok_assets.spec import (
    ADVERTISERS,
    ENTITIES,
    GMV_MAX_SHOPS,
    LISTED_ENTITIES,
    MEDIA_TABLES,
    RESTATEMENT_COLUMNS,
    RESTATEMENTS,
    RESTATEMENTS_KEY,
    RESTATEMENTS_MEANING,
    Column,
    history_table_meaning,
    history_table_name,
    report_columns,
    to_column_name,
)
from tiktok_assets.storage import HiveStore
from tiktok_assets.tables import entity_columns
from tiktok_assets.top_spenders import CANDIDATES_COLUMNS, TOP_SPENDERS_COLUMNS

TOP_SPENDERS = "top_spenders"
TOP_SPENDERS_SOURCES = ("ad_report_lifetime", "campaign_report_lifetime")
AD_REPORT_DAILY = "ad_report_daily"
DUPLICATION_CANDIDATES = "duplication_candidates"
AD_DUPLICATIONS = "ad_duplications"
DUPLICATION_RESULTS = "duplication_results"
ACCOUNT_OVERVIEW = "account_overview"
CREATIVE_SOURCES = (AD_REPORT_DAILY, "ad_report_lifetime")

TRIGGERING_SOURCES: Mapping[str, Sequence[str]] = {
    TOP_SPENDERS: TOP_SPENDERS_SOURCES,
    DUPLICATION_CANDIDATES: (TOP_SPENDERS,),
    AD_DUPLICATIONS: ("ads",),
    DUPLICATION_RESULTS: (AD_REPORT_DAILY, AD_DUPLICATIONS),
    CREATIVES: CREATIVE_SOURCES,
    CREATIVE_DAILY: CREATIVE_SOURCES,
    CREATIVE_DECLINES: CREATIVE_SOURCES,
}
"""The sources whose updates trigger a derived table; updates of other tables it reads do not."""

_TOP_SPENDER_TABLES: Mapping[str, Sequence[Column]] = {
    TOP_SPENDERS: TOP_SPENDERS_COLUMNS,
    DUPLICATION_CANDIDATES: CANDIDATES_COLUMNS,
}

_CREATIVE_TABLES: Mapping[str, Sequence[Column]] = {
    CREATIVES: CREATIVES_COLUMNS,
    CREATIVE_DAILY: CREATIVE_DAILY_COLUMNS,
}


def get_stored_tables(settings: Settings) -> Mapping[str, Sequence[Column]]:
    """Return the columns of every stored table by its name; a derived table is left out without its sources."""
    reports = {report.table: report_columns(report, settings.chosen_metrics) for report in settings.chosen_reports}
    gmv_max = {report.table: report.columns for report in settings.chosen_gmv_max_reports}
    has_daily_reports = bool(gmv_max) or any(report.cadence == "daily" for report in settings.chosen_reports)
    tables = {
        **{entity.table: entity_columns(entity) for entity in ENTITIES},
        **{history_table_name(entity.table): history_columns(entity) for entity in LISTED_ENTITIES},
        **{media.table: entity_columns(media.entity) for media in MEDIA_TABLES},
        GMV_MAX_SHOPS.table: entity_columns(GMV_MAX_SHOPS),
        **reports,
        **gmv_max,
        **({RESTATEMENTS: RESTATEMENT_COLUMNS} if has_daily_reports else {}),
        **(_CREATIVE_TABLES if AD_REPORT_DAILY in reports else {}),
        **({CREATIVE_DECLINES: DECLINES_COLUMNS} if AD_REPORT_DAILY in reports and settings.fatigue_drop else {}),
        **(_TOP_SPENDER_TABLES if reports.keys() >= set(TOP_SPENDERS_SOURCES) else {}),
        AD_DUPLICATIONS: DUPLICATIONS_COLUMNS,
        **({DUPLICATION_RESULTS: RESULTS_COLUMNS} if AD_REPORT_DAILY in reports else {}),
    }
    return {table: columns for table, columns in tables.items() if settings.includes(table)}


TABLE_DESCRIPTIONS: Mapping[str, str] = {
    TOP_SPENDERS: "The top-spending ad of each campaign by lifetime spend, its runner-up, its lead and its start.",
    DUPLICATION_CANDIDATES: (
        "The ads that overtook the top spender of their campaign, each flagged or held back with the reason."
    ),
    AD_DUPLICATIONS: "Every live duplication: what was sent, and what was created or why it was not.",
    DUPLICATION_RESULTS: (
        "The original compared with its copy over 3, 7 and 14 complete days from the copy's first day with spend."
    ),
    RESTATEMENTS: RESTATEMENTS_MEANING,
    CREATIVES: (
        "Each video, post or set of images of the account, over all ads that use it: figures and rates over 7 and"
        " 28 complete days and the lifetime, computed from sums."
    ),
    CREATIVE_DAILY: "The daily ad report summed by creative and day.",
    CREATIVE_DECLINES: (
        "The creatives whose hook rate or click rate fell against their own best seven days while they were shown"
        " no less: what fell from what to what, since when, and what spends in their place."
    ),
}


def get_table_descriptions(settings: Settings) -> Mapping[str, str]:
    """Return a one-sentence description of each stored table."""
    descriptions = {
        **{entity.table: entity.meaning for entity in ENTITIES},
        **{history_table_name(entity.table): history_table_meaning(entity.table) for entity in LISTED_ENTITIES},
        **{media.table: media.entity.meaning for media in MEDIA_TABLES},
        GMV_MAX_SHOPS.table: GMV_MAX_SHOPS.meaning,
        **{report.table: report.meaning for report in settings.chosen_reports},
        **{report.table: report.meaning for report in settings.chosen_gmv_max_reports},
        **TABLE_DESCRIPTIONS,
    }
    return {table: descriptions[table] for table in get_stored_tables(settings)}


def list_tables_to_publish(settings: Settings, store: HiveStore) -> list[StoredTable]:
    """Return every stored table with its columns and its description, as destinations take them."""
    meanings = get_table_descriptions(settings)
    return [
        StoredTable(store, table, meanings[table], columns)
        for table, columns in get_stored_tables(settings).items()
    ]


_DERIVED_TABLE_KEYS: Mapping[str, tuple[str, ...]] = {
    TOP_SPENDERS: ("advertiser_id", "campaign_id"),
    DUPLICATION_CANDIDATES: ("advertiser_id", "campaign_id", "ad_id"),
    AD_DUPLICATIONS: ("advertiser_id", "duplication_key"),
    DUPLICATION_RESULTS: ("advertiser_id", "duplication_key", "days"),
    RESTATEMENTS: RESTATEMENTS_KEY,
    CREATIVES: ("advertiser_id", "creative_id"),
    CREATIVE_DAILY: ("advertiser_id", "creative_id", "date"),
    CREATIVE_DECLINES: ("advertiser_id", "decline_id"),
}


def get_table_keys(settings: Settings) -> Mapping[str, tuple[str, ...]]:
    """Return the columns that identify a row of each stored table."""
    owner = ("advertiser_id",)
    return {
        ADVERTISERS.table: owner,
        **{entity.table: (*owner, to_column_name(entity.key)) for entity in LISTED_ENTITIES},
        **{
            history_table_name(entity.table): (*owner, to_column_name(entity.key), "valid_from")
            for entity in LISTED_ENTITIES
        },
        **{media.table: (*owner, media.entity.key) for media in MEDIA_TABLES},
        GMV_MAX_SHOPS.table: (*owner, GMV_MAX_SHOPS.key),
        **{report.table: report.key for report in settings.chosen_reports},
        **{report.table: report.key for report in settings.chosen_gmv_max_reports},
        **_DERIVED_TABLE_KEYS,
    }
