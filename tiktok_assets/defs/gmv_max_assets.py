"""Define the assets of GMV Max: the TikTok Shops of the accounts, and the daily reports of those that have one."""

from collections.abc import Iterator, Sequence
from datetime import date

import dagster as dg

from tiktok_assets.defs.metadata import build_table_metadata, record_materializations, record_partitions
from tiktok_assets.defs.names import Names
from tiktok_assets.defs.partitions import SINGLE_RUN, get_run_partitions
from tiktok_assets.defs.progress import log_plan, log_progress
from tiktok_assets.ingest import (
    FailedPartitions,
    WrittenPartition,
    load_accounts,
    load_shop_ids,
    refresh_gmv_max_report,
    refresh_gmv_max_shops,
    refresh_restatements,
    select_accounts_without_shops,
)
from tiktok_assets.session import Session
from tiktok_assets.settings import Settings
from tiktok_assets.spec import ADVERTISERS, GMV_MAX_CAMPAIGN_REPORT, GMV_MAX_SHOPS, GmvMaxReport
from tiktok_assets.storage import Partition
from tiktok_assets.tables import entity_columns

_KINDS = {"tiktok", "polars", "parquet"}


def build_gmv_max_shops_asset(settings: Settings) -> dg.AssetsDefinition:
    """Build the asset of the TikTok Shops of the accounts."""
    names = Names(settings)

    @dg.asset(
        key=names.key(GMV_MAX_SHOPS.table),
        group_name="account",
        kinds=_KINDS,
        description=GMV_MAX_SHOPS.meaning,
        metadata=build_table_metadata(entity_columns(GMV_MAX_SHOPS)),
        partitions_def=names.advertisers,
        backfill_policy=SINGLE_RUN,
        deps=names.keys([ADVERTISERS.table]),
        required_resource_keys=names.required_resources,
    )
    def _gmv_max_shops(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
        return _refresh_shops(context, names)

    return _gmv_max_shops


def _refresh_shops(context: dg.AssetExecutionContext, names: Names) -> dg.MaterializeResult:
    """Request the shops of accounts whose list is a week old; of all accounts if no other table is selected."""
    tiktok = names.session(context)
    partitions = get_run_partitions(context)
    log_plan(context, names, partitions)
    selected = names.tables(context.job_def.asset_layer.selected_asset_keys)
    ids = select_accounts_without_shops(
        tiktok.store,
        tiktok.settings,
        [str(partition.advertiser_id) for partition in partitions],
        tiktok.now(),
        is_only_table=selected == {GMV_MAX_SHOPS.table},
    )
    accounts, unknown = load_accounts(tiktok.reader, tiktok.store, tiktok.settings, ids)
    context.log.info(
        "The shops of %s accounts are requested. The list of an account is requested once a week, from its second"
        " refresh on; to request it now, select this table alone.",
        len(accounts),
    )
    for advertiser_id, error in unknown.items():
        context.log.warning("The shops of advertiser %s are not requested: %s", advertiser_id, error)
    is_chosen = GMV_MAX_CAMPAIGN_REPORT in tiktok.settings.chosen_gmv_max_reports
    outcomes = refresh_gmv_max_shops(tiktok.reader, tiktok.store, accounts, is_report_chosen=is_chosen)
    return record_materializations(
        context, names, log_progress(context, tiktok, GMV_MAX_SHOPS.table, outcomes, len(accounts))
    )


def build_gmv_max_report_asset(report: GmvMaxReport, settings: Settings) -> dg.AssetsDefinition:
    """Build the asset of one report of GMV Max, partitioned by advertiser and day."""
    names = Names(settings)

    @dg.asset(
        key=names.key(report.table),
        group_name="reports",
        kinds=_KINDS,
        description=report.meaning,
        metadata=build_table_metadata(report.columns),
        partitions_def=names.advertiser_days,
        backfill_policy=SINGLE_RUN,
        deps=names.keys([GMV_MAX_SHOPS.table]),
        required_resource_keys=names.required_resources,
    )
    def _report(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
        tiktok = names.session(context)
        partitions = get_run_partitions(context)
        log_plan(context, names, partitions)
        with_shop = [one for one in partitions if load_shop_ids(tiktok.store, str(one.advertiser_id))]
        if skipped := {one.advertiser_id for one in partitions} - {one.advertiser_id for one in with_shop}:
            context.log.info("%s accounts have no TikTok Shop: nothing is requested or stored.", len(skipped))
        outcomes = read_gmv_max_partitions(tiktok, report, with_shop)
        try:
            logged = log_progress(context, tiktok, report.table, outcomes, len(with_shop))
            return record_materializations(context, names, logged)
        except dg.Failure:  # Dagster skips the restatements step after a failure, although days were written
            record_partitions(context, names, refresh_restatements(tiktok.store, [report.table], partitions))
            raise

    return _report


def read_gmv_max_partitions(
    session: Session, report: GmvMaxReport, partitions: Sequence[Partition]
) -> Iterator[WrittenPartition | FailedPartitions]:
    """Read and replace these partitions of a report; partitions of accounts that cannot be loaded fail first."""
    days: dict[str, list[date]] = {}
    for partition in partitions:
        days.setdefault(str(partition.advertiser_id), []).extend([partition.day] if partition.day else [])
    accounts, refused = load_accounts(session.reader, session.store, session.settings, list(days))
    for advertiser_id, error in refused.items():
        failed = tuple(partition for partition in partitions if partition.advertiser_id == advertiser_id)
        yield FailedPartitions(report.table, failed, error)
    wanted = {account: days[account.advertiser_id] for account in accounts}
    yield from refresh_gmv_max_report(session.reader, session.store, report, wanted)
