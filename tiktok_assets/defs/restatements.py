"""The table of restatements: what each reading of a stored day has changed."""

import dagster as dg

from tiktok_assets.defs.partitions import ONE_RUN, advertiser_days, keys_of_run
from tiktok_assets.defs.telling import definition_metadata, record
from tiktok_assets.refresh.restatements import refresh_restatements
from tiktok_assets.session import Session
from tiktok_assets.settings import Settings
from tiktok_assets.spec.restatements import RESTATEMENT_COLUMNS, RESTATEMENTS, RESTATEMENTS_MEANING

GROUP = "reports"


def daily_reports(settings: Settings) -> list[str]:
    """The chosen reports that have days."""
    return [report.table for report in settings.chosen_reports if report.cadence == "daily"]


def daily_tables(settings: Settings) -> list[str]:
    """The tables with days: the chosen reports, and what moved in them; none where none were chosen."""
    reports = daily_reports(settings)
    return [*reports, RESTATEMENTS] if reports else []


def restatements_asset(settings: Settings) -> dg.AssetsDefinition:
    """The asset `report_restatements`, gathered once after the daily reports from what their days note."""

    @dg.asset(
        name=RESTATEMENTS,
        group_name=GROUP,
        kinds={"polars", "parquet"},
        description=RESTATEMENTS_MEANING,
        metadata=definition_metadata(RESTATEMENT_COLUMNS),
        partitions_def=advertiser_days(settings.start_date),
        backfill_policy=ONE_RUN,
        deps=daily_reports(settings),
    )
    def _restatements(
        context: dg.AssetExecutionContext, tiktok: dg.ResourceParam[Session]
    ) -> dg.MaterializeResult:
        partitions = keys_of_run(context)
        return record(context, refresh_restatements(tiktok.store, daily_reports(settings), partitions))

    return _restatements
