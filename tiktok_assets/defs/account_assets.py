"""Define the `account` group: advertisers, campaigns, ad groups and ads, and the history of each."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, fields

import dagster as dg

from tiktok_assets.api import TikTokError, suggest_fix
from tiktok_assets.defs.gmv_max_assets import build_gmv_max_shops_asset
from tiktok_assets.defs.media_assets import build_media_tables
from tiktok_assets.defs.metadata import build_partition_metadata, build_table_metadata, record_materializations
from tiktok_assets.defs.names import Names
from tiktok_assets.defs.partitions import SINGLE_RUN, get_intended_advertisers, get_run_partitions
from tiktok_assets.defs.progress import log_accounts_without_table, log_plan, log_progress
from tiktok_assets.escaping import escape_control_characters
from tiktok_assets.ingest import (
    AccountChange,
    AccountsResult,
    describe_missing_endpoints,
    history_columns,
    refresh_advertisers,
    refresh_entity,
)
from tiktok_assets.settings import Settings
from tiktok_assets.spec import (
    ADVERTISERS,
    GMV_MAX_SHOPS,
    LISTED_ENTITIES,
    MEDIA_TABLES,
    Entity,
    history_table_meaning,
    history_table_name,
)
from tiktok_assets.tables import entity_columns

MAX_NAMED_CHANGES, MAX_LISTED_CHANGES = 5, 20
ACCOUNT_GROUP = "account"
TABLE_KINDS = {"tiktok", "polars", "parquet"}
ALL_GRANTED_CHECK = "all_accounts_granted"
ZONE_AND_CURRENCY_CHECK = "zone_and_currency_kept"
ADVERTISERS_CHECKS = (ALL_GRANTED_CHECK, ZONE_AND_CURRENCY_CHECK)
"""The checks that the step of `advertisers` evaluates itself."""


def build_advertisers_asset(settings: Settings) -> dg.AssetsDefinition:
    """Build the asset `advertisers`, which has no partitions."""
    names = Names(settings)
    key = names.key(ADVERTISERS.table)

    @dg.asset(
        key=key,
        group_name=ACCOUNT_GROUP,
        kinds=TABLE_KINDS,
        description=ADVERTISERS.meaning,
        metadata=build_table_metadata(entity_columns(ADVERTISERS)),
        required_resource_keys=names.required_resources,
        check_specs=[
            dg.AssetCheckSpec(ALL_GRANTED_CHECK, asset=key, description="Access to every account is granted."),
            dg.AssetCheckSpec(
                ZONE_AND_CURRENCY_CHECK,
                asset=key,
                description="No account changed its time zone or currency since the previous refresh. After a"
                " change, stored days keep the time zone and currency they were read with, and later days have the"
                " new ones: keep totals separate by `currency`. To convert old days, read them again with"
                " `sync --from … --to …`.",
            ),
        ],
    )
    def _advertisers(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
        return _refresh_advertisers(context, names)

    return _advertisers


def _refresh_advertisers(context: dg.AssetExecutionContext, names: Names) -> dg.MaterializeResult:
    """Read the accounts, mark those whose access was lost as not granted, and add a partition for each."""
    tiktok = names.session(context)
    log_plan(context, names, get_intended_advertisers(context))
    try:
        zones, currencies = tiktok.settings.account_timezone, tiktok.settings.account_currency
        written, accounts = refresh_advertisers(
            tiktok.reader, tiktok.store, tiktok.advertiser_ids, zones, currencies
        )
    except TikTokError as error:
        raise dg.Failure(f"{error} {suggest_fix(error)}", allow_retries=False) from error
    add_advertiser_partitions(context.instance, tiktok.advertiser_ids, names.settings)
    if tiktok.missing_paths:
        context.log.warning("%s", describe_missing_endpoints(tiktok.missing_paths))
    for advertiser_id, refusal in accounts.refused.items():
        context.log.error("advertiser %s: %s %s", advertiser_id, refusal, suggest_fix(refusal))
    lost = accounts.lost | {advertiser_id: str(error) for advertiser_id, error in accounts.refused.items()}
    check = dg.AssetCheckResult(
        passed=not lost, check_name=ALL_GRANTED_CHECK, severity=dg.AssetCheckSeverity.WARN, metadata=lost
    )
    return dg.MaterializeResult(
        metadata=build_partition_metadata(written), check_results=[check, _check_zone_and_currency(accounts)]
    )


def _check_zone_and_currency(accounts: AccountsResult) -> dg.AssetCheckResult:
    """Check that no account changed its time zone or currency; a change fails only the refresh that finds it."""
    sentences = [str(change) for change in (accounts.changes or accounts.earlier_changes[-MAX_NAMED_CHANGES:])]
    records = [
        dg.TableRecord(asdict(change))
        for change in (*accounts.earlier_changes, *accounts.changes)[-MAX_LISTED_CHANGES:]
    ]
    names = [field.name for field in fields(AccountChange)]
    schema = dg.TableSchema([dg.TableColumn(name, "string") for name in names])
    return dg.AssetCheckResult(
        passed=not accounts.changes,
        check_name=ZONE_AND_CURRENCY_CHECK,
        severity=dg.AssetCheckSeverity.WARN,
        description=escape_control_characters("; ".join(sentences[:MAX_NAMED_CHANGES])) or None,
        metadata={
            "changes": dg.MetadataValue.int(len(accounts.changes)),
            **({"all_changes": dg.MetadataValue.table(records, schema)} if records else {}),
        },
    )


def add_advertiser_partitions(
    instance: dg.DagsterInstance, advertiser_ids: list[str], settings: Settings
) -> list[str]:
    """Add a partition for each new account and return the added ids.

    Partitions are never removed, so that the history of an account stays.
    """
    name = Names(settings).partitions_name
    known = set(instance.get_dynamic_partitions(name))
    new = [advertiser_id for advertiser_id in advertiser_ids if advertiser_id not in known]
    if new:
        instance.add_dynamic_partitions(name, new)
    return new


def build_entity_assets(entity: Entity, settings: Settings) -> dg.AssetsDefinition:
    """Build the snapshot asset and the history asset of one entity, each with a partition per advertiser.

    One step materializes both, whichever is selected: versions are recorded before the snapshot is replaced.
    """
    names = Names(settings)
    tables = {
        entity.table: (entity.meaning, entity_columns(entity)),
        history_table_name(entity.table): (history_table_meaning(entity.table), history_columns(entity)),
    }

    @dg.multi_asset(
        name=names.name(entity.table),
        specs=[
            dg.AssetSpec(
                names.key(table),
                group_name=ACCOUNT_GROUP,
                kinds=TABLE_KINDS,
                description=description,
                metadata=build_table_metadata(columns),
                deps=names.keys([ADVERTISERS.table, *([entity.condition.table] if entity.condition else [])]),
            )
            for table, (description, columns) in tables.items()
        ],
        partitions_def=names.advertisers,
        backfill_policy=SINGLE_RUN,
        can_subset=True,
        required_resource_keys=names.required_resources,
    )
    def _entity(context: dg.AssetExecutionContext) -> Iterator[dg.MaterializeResult]:
        tiktok = names.session(context)
        partitions = get_run_partitions(context)
        log_plan(context, names, partitions)
        ids = [str(partition.advertiser_id) for partition in partitions]
        log_accounts_without_table(context, tiktok, entity, ids)
        outcomes = refresh_entity(tiktok.reader, tiktok.store, entity, ids)
        result = record_materializations(
            context, names, log_progress(context, tiktok, entity.table, outcomes, len(ids))
        )
        for object_type, error in tiktok.reader.refused_types.items():
            context.log.warning(
                "%s objects are missing from %s because TikTok refused the request: %s",
                object_type,
                entity.table,
                error,
            )
        for key in sorted(context.selected_asset_keys):
            yield dg.MaterializeResult(asset_key=key, metadata=result.metadata)

    return _entity


def build_account_assets(settings: Settings) -> Sequence[dg.AssetsDefinition]:
    """Build the assets that the first stage of a refresh fills, `advertisers` first."""
    return (
        build_advertisers_asset(settings),
        *(build_entity_assets(one, settings) for one in LISTED_ENTITIES if settings.includes(one.table)),
        *([build_media_tables(settings)] if any(settings.includes(one.table) for one in MEDIA_TABLES) else []),
        *([build_gmv_max_shops_asset(settings)] if settings.includes(GMV_MAX_SHOPS.table) else []),
    )


def list_account_tables(settings: Settings) -> list[str]:
    """Return the tables of `build_account_assets` in its order."""
    tables = [ADVERTISERS.table]
    for entity in LISTED_ENTITIES:
        tables += [entity.table, history_table_name(entity.table)]
    tables += [*(media.table for media in MEDIA_TABLES), GMV_MAX_SHOPS.table]
    return [table for table in tables if settings.includes(table)]
