"""Which tables exist under these settings, with their columns, in reading order."""

from collections.abc import Mapping, Sequence

from tiktok_assets.refresh.history import history_columns
from tiktok_assets.scaling.candidates import CANDIDATES_COLUMNS
from tiktok_assets.scaling.ranking import TOP_SPENDERS_COLUMNS
from tiktok_assets.scaling.results import DUPLICATIONS_COLUMNS, RESULTS_COLUMNS
from tiktok_assets.settings import Settings
from tiktok_assets.spec.columns import Column, renamed
from tiktok_assets.spec.entities import ADVERTISERS, ENTITIES, LISTED_ENTITIES
from tiktok_assets.spec.history import history_meaning, history_table
from tiktok_assets.spec.reports import report_columns
from tiktok_assets.spec.restatements import (
    RESTATEMENT_COLUMNS,
    RESTATEMENTS,
    RESTATEMENTS_KEY,
    RESTATEMENTS_MEANING,
)
from tiktok_assets.tables import entity_columns

RANKING = "top_spenders"
RANKING_SOURCES = ("ad_report_lifetime", "campaign_report_lifetime")
RECENT_SOURCE = "ad_report_daily"
CANDIDATES = "duplication_candidates"
DUPLICATIONS = "ad_duplications"
RESULTS = "duplication_results"
OVERVIEW = "account_overview"

MADE_AFTER: Mapping[str, Sequence[str]] = {
    RANKING: RANKING_SOURCES,
    CANDIDATES: (RANKING,),
    DUPLICATIONS: ("ads",),
    RESULTS: (RECENT_SOURCE, DUPLICATIONS),
}
"""The sources whose update has a derived table made again; what else it reads is no reason to."""

_RANKED: Mapping[str, Sequence[Column]] = {RANKING: TOP_SPENDERS_COLUMNS, CANDIDATES: CANDIDATES_COLUMNS}


def stored_tables(settings: Settings) -> Mapping[str, Sequence[Column]]:
    """The columns of every table on disk, by the table's name; no ranking where its sources were not chosen."""
    reports = {report.table: report_columns(report, settings.chosen_metrics) for report in settings.chosen_reports}
    has_days = any(report.cadence == "daily" for report in settings.chosen_reports)
    return {
        **{entity.table: entity_columns(entity) for entity in ENTITIES},
        **{history_table(entity.table): history_columns(entity) for entity in LISTED_ENTITIES},
        **reports,
        **({RESTATEMENTS: RESTATEMENT_COLUMNS} if has_days else {}),
        **(_RANKED if reports.keys() >= set(RANKING_SOURCES) else {}),
        DUPLICATIONS: DUPLICATIONS_COLUMNS,
        **({RESULTS: RESULTS_COLUMNS} if RECENT_SOURCE in reports else {}),
    }


MEANINGS: Mapping[str, str] = {
    RANKING: "The leading ad of each campaign by lifetime spend, its runner-up, its lead and since when.",
    CANDIDATES: "The ads that overtook the leader of their campaign, and why each is held back or told of.",
    DUPLICATIONS: "Every duplication asked for live: what was sent, what was made, or why not.",
    RESULTS: "Original against copy over 3, 7 and 14 complete days from the copy's first day with spend.",
    RESTATEMENTS: RESTATEMENTS_MEANING,
}


def table_meanings(settings: Settings) -> Mapping[str, str]:
    """One sentence on each stored table."""
    meanings = {
        **{entity.table: entity.meaning for entity in ENTITIES},
        **{history_table(entity.table): history_meaning(entity.table) for entity in LISTED_ENTITIES},
        **{report.table: report.meaning for report in settings.chosen_reports},
        **MEANINGS,
    }
    return {table: meanings[table] for table in stored_tables(settings)}


_OTHER_KEYS: Mapping[str, tuple[str, ...]] = {
    RANKING: ("advertiser_id", "campaign_id"),
    CANDIDATES: ("advertiser_id", "campaign_id", "ad_id"),
    DUPLICATIONS: ("advertiser_id", "duplication_key"),
    RESULTS: ("advertiser_id", "duplication_key", "days"),
    RESTATEMENTS: RESTATEMENTS_KEY,
}


def table_keys(settings: Settings) -> Mapping[str, tuple[str, ...]]:
    """The columns that name a row of each stored table."""
    owner = ("advertiser_id",)
    return {
        ADVERTISERS.table: owner,
        **{entity.table: (*owner, renamed(entity.key)) for entity in LISTED_ENTITIES},
        **{history_table(one.table): (*owner, renamed(one.key), "valid_from") for one in LISTED_ENTITIES},
        **{report.table: report.key for report in settings.chosen_reports},
        **_OTHER_KEYS,
    }
