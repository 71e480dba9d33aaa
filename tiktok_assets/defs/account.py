"""The `account` group: advertisers, campaigns, ad groups and ads as they stand, and every version of them."""

from collections.abc import Iterator
from dataclasses import asdict, fields

import dagster as dg

from tiktok_assets.api.errors import TikTokError, mend_of
from tiktok_assets.defs.partitions import ADVERTISERS as ADVERTISER_PARTITIONS
from tiktok_assets.defs.partitions import ONE_RUN, keys_of_run, partitions_beside
from tiktok_assets.defs.progress import tell_plan, watched
from tiktok_assets.defs.telling import definition_metadata, facts_of, record
from tiktok_assets.escaping import visible
from tiktok_assets.refresh.account_changes import AccountChange
from tiktok_assets.refresh.account_details import not_offered_in_words
from tiktok_assets.refresh.account_reading import AccountsRead
from tiktok_assets.refresh.history import history_columns
from tiktok_assets.refresh.writing import refresh_advertisers, refresh_entity
from tiktok_assets.session import Session
from tiktok_assets.spec.entities import ADVERTISERS, LISTED_ENTITIES, Entity
from tiktok_assets.spec.history import history_meaning, history_table
from tiktok_assets.tables import entity_columns

MOST_NAMED, MOST_SHOWN = 5, 20
GROUP = "account"
KINDS = {"tiktok", "polars", "parquet"}
ALL_GRANTED = "all_accounts_granted"
ZONES_KEPT = "zone_and_currency_kept"


@dg.asset(
    name=ADVERTISERS.table,
    group_name=GROUP,
    kinds=KINDS,
    description=ADVERTISERS.meaning,
    metadata=definition_metadata(entity_columns(ADVERTISERS)),
    check_specs=[
        dg.AssetCheckSpec(ALL_GRANTED, asset=ADVERTISERS.table, description="Every account named may be read."),
        dg.AssetCheckSpec(
            ZONES_KEPT,
            asset=ADVERTISERS.table,
            description="No account has another time zone or currency than at the reading before. After a change"
            " stored days keep those they were read under and later readings come under the new ones: keep totals"
            " apart by `currency`. To have old days under the new ones, read them again (`backfill_history`, or"
            " `sync --from … --to …`).",
        ),
    ],
)
def advertisers(context: dg.AssetExecutionContext, tiktok: dg.ResourceParam[Session]) -> dg.MaterializeResult:
    """Read the accounts, keep the lost ones as not granted, and make each a partition."""
    tell_plan(context, tiktok, partitions_beside(context))
    try:
        zones, currencies = tiktok.settings.account_timezone, tiktok.settings.account_currency
        landed, read = refresh_advertisers(tiktok.reader, tiktok.store, tiktok.advertiser_ids, zones, currencies)
    except TikTokError as error:
        raise dg.Failure(f"{error} {mend_of(error)}", allow_retries=False) from error
    add_advertisers(context.instance, tiktok.advertiser_ids)
    if tiktok.not_offered:
        context.log.warning("%s", not_offered_in_words(tiktok.not_offered))
    for advertiser_id, refusal in read.refused.items():
        context.log.error("advertiser %s: %s %s", advertiser_id, refusal, mend_of(refusal))
    lost = read.lost | {advertiser_id: str(refusal) for advertiser_id, refusal in read.refused.items()}
    check = dg.AssetCheckResult(
        passed=not lost, check_name=ALL_GRANTED, severity=dg.AssetCheckSeverity.WARN, metadata=lost
    )
    return dg.MaterializeResult(metadata=facts_of(landed), check_results=[check, _kept(read)])


def _kept(read: AccountsRead) -> dg.AssetCheckResult:
    """Whether no account changed its time zone or currency: a change fails at the reading that noticed it only."""
    sentences = [str(change) for change in (read.changes or read.earlier_changes[-MOST_NAMED:])]
    records = [dg.TableRecord(asdict(change)) for change in (*read.earlier_changes, *read.changes)[-MOST_SHOWN:]]
    names = [one.name for one in fields(AccountChange)]
    schema = dg.TableSchema([dg.TableColumn(name, "string") for name in names])
    return dg.AssetCheckResult(
        passed=not read.changes,
        check_name=ZONES_KEPT,
        severity=dg.AssetCheckSeverity.WARN,
        description=visible("; ".join(sentences[:MOST_NAMED])) or None,
        metadata={
            "changes": dg.MetadataValue.int(len(read.changes)),
            **({"all_changes": dg.MetadataValue.table(records, schema)} if records else {}),
        },
    )


def add_advertisers(instance: dg.DagsterInstance, advertiser_ids: list[str]) -> list[str]:
    """Make accounts partitions; returns those that were not. None is ever removed: its history stays."""
    known = set(instance.get_dynamic_partitions(str(ADVERTISER_PARTITIONS.name)))
    new = [advertiser_id for advertiser_id in advertiser_ids if advertiser_id not in known]
    if new:
        instance.add_dynamic_partitions(str(ADVERTISER_PARTITIONS.name), new)
    return new


def entity_asset(entity: Entity) -> dg.AssetsDefinition:
    """The assets of one listed entity, a partition an advertiser: its snapshot, and its versions so far.

    One step makes both, whichever is asked for: the versions are taken before the snapshot is replaced.
    """
    tables = {
        entity.table: (entity.meaning, entity_columns(entity)),
        history_table(entity.table): (history_meaning(entity.table), history_columns(entity)),
    }

    @dg.multi_asset(
        name=entity.table,
        specs=[
            dg.AssetSpec(
                table,
                group_name=GROUP,
                kinds=KINDS,
                description=meaning,
                metadata=definition_metadata(columns),
                deps=[ADVERTISERS.table],
            )
            for table, (meaning, columns) in tables.items()
        ],
        partitions_def=ADVERTISER_PARTITIONS,
        backfill_policy=ONE_RUN,
        can_subset=True,
    )
    def _entity(
        context: dg.AssetExecutionContext, tiktok: dg.ResourceParam[Session]
    ) -> Iterator[dg.MaterializeResult]:
        partitions = keys_of_run(context)
        tell_plan(context, tiktok, partitions)
        ids = [str(partition.advertiser_id) for partition in partitions]
        outcomes = refresh_entity(tiktok.reader, tiktok.store, entity, ids)
        result = record(context, watched(context, tiktok, entity.table, outcomes, len(ids)))
        for kind, refusal in tiktok.reader.refused_kinds.items():
            context.log.warning(
                "%s objects are left out of %s, as TikTok refused: %s", kind, entity.table, refusal
            )
        for key in sorted(context.selected_asset_keys):
            yield dg.MaterializeResult(asset_key=key, metadata=result.metadata)

    return _entity


ACCOUNT_ASSETS = (advertisers, *(entity_asset(entity) for entity in LISTED_ENTITIES))
