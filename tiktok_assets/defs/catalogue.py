"""Which tables exist under these settings, with their columns, in reading order."""

from collections.abc import Mapping, Sequence

from tiktok_assets.scaling.ranking import TOP_SPENDERS_COLUMNS
from tiktok_assets.settings import Settings
from tiktok_assets.spec.columns import Column
from tiktok_assets.spec.entities import ENTITIES
from tiktok_assets.spec.reports import report_columns
from tiktok_assets.tables import entity_columns

RANKING = "top_spenders"
RANKING_SOURCES = ("ad_report_lifetime", "campaign_report_lifetime")


def stored_tables(settings: Settings) -> Mapping[str, Sequence[Column]]:
    """The columns of every table on disk, by the table's name; no ranking where its sources were not chosen."""
    reports = {report.table: report_columns(report, settings.chosen_metrics) for report in settings.chosen_reports}
    return {
        **{entity.table: entity_columns(entity) for entity in ENTITIES},
        **reports,
        **({RANKING: TOP_SPENDERS_COLUMNS} if reports.keys() >= set(RANKING_SOURCES) else {}),
    }
