"""Define the job `duplicate_ad` and the tables `ad_duplications` and `duplication_results`."""

from collections.abc import Sequence
from decimal import Decimal, InvalidOperation

import dagster as dg
import polars as pl
from pydantic import Field

from tiktok_assets.alerts.dagster_urls import DUPLICATE_JOB
from tiktok_assets.api.errors import TikTokError, suggest_fix
from tiktok_assets.defs.insight_assets import sources_updated_and_idle
from tiktok_assets.defs.metadata import build_table_metadata, write_export
from tiktok_assets.defs.partitions import ADVERTISERS, SINGLE_RUN
from tiktok_assets.defs.plots import add_rows_metadata
from tiktok_assets.defs.resources import IO_MANAGER
from tiktok_assets.defs.scaling_sensors import SCALING_GROUP
from tiktok_assets.defs.table_catalog import (
    AD_DUPLICATIONS,
    AD_REPORT_DAILY,
    DUPLICATION_RESULTS,
    TABLE_DESCRIPTIONS,
    TRIGGERING_SOURCES,
)
from tiktok_assets.duplication.approvals import BY_CODE, Approval, NotApprovedError
from tiktok_assets.duplication.duplicator import RefusedError
from tiktok_assets.duplication.executor import UnfinishedError
from tiktok_assets.duplication.formatting import format_done, format_dry_run, format_request
from tiktok_assets.duplication.lease import LeaseError
from tiktok_assets.duplication.ledger import Ledger
from tiktok_assets.duplication.models import AD_STEP, DONE, DuplicationRequest, LedgerEntry
from tiktok_assets.duplication.results import (
    DUPLICATIONS_COLUMNS,
    RESULTS_COLUMNS,
    build_duplications_table,
    build_results_table,
    find_compared_days,
)
from tiktok_assets.escaping import escape_control_characters, escape_markdown
from tiktok_assets.ingest.partitions import is_partition_complete
from tiktok_assets.session import Session
from tiktok_assets.settings import Settings
from tiktok_assets.spec.reports import REPORTS_BY_TABLE, report_columns
from tiktok_assets.storage.hive_store import HiveStore, Partition
from tiktok_assets.storage.state import utc_now
from tiktok_assets.tables.frames import build_schema

SOURCE_FLAG_TAG = "tiktok_assets/from_flag"
"""On each run `execute_duplications` asked for: the flag."""

LAUNCHER_TAGS = (
    "user",
    "dagster/sensor_name",
    "dagster/schedule_name",
    "dagster/from_ui",
    "dagster/parent_run_id",
)
"""The tags of a run that tell who launched it; whoever launches can set them."""

MAX_TAG_LENGTH = 80


class DuplicationConfig(dg.Config):
    """What to duplicate into what; a dry run that leaves everything switched off unless more is said."""

    advertiser_id: str
    ad_id: str
    campaign_id: str
    ad_group_id: str | None = None
    budget: str | None = None
    again: int = 0
    live: bool = False
    enable: bool = False
    without_emoji: bool = Field(default=False, description="Cut emoji from the ad's texts, which TikTok refuses.")
    approval: str | None = Field(default=None, repr=False, description="The alert's code, for a live run.")

    def wish(self, flag_id: str | None) -> DuplicationRequest:
        """The wish of this configuration.

        Raises:
            dagster.Failure: if a value cannot be used.
        """
        for name in ("advertiser_id", "ad_id", "campaign_id", "ad_group_id"):
            told = getattr(self, name)
            if told is not None and not (told.isascii() and told.isdecimal()):
                raise dg.Failure(f"{name} {told!r} is no id; an id is all digits", allow_retries=False)
        if self.again < 0:
            raise dg.Failure(
                f"again {self.again} is below 0; 0 asks for the first copy, 1, 2, … for another",
                allow_retries=False,
            )
        try:
            budget = None if self.budget is None else Decimal(self.budget)
        except InvalidOperation:
            raise dg.Failure(f"budget {self.budget!r} is no amount; write '50'", allow_retries=False) from None
        if budget is not None and not (budget.is_finite() and budget > 0):
            raise dg.Failure(f"budget {self.budget} must be more than 0", allow_retries=False)
        ids = (self.advertiser_id, self.ad_id, self.campaign_id, self.ad_group_id)
        return DuplicationRequest(*ids, budget, self.again, self.enable, flag_id, self.without_emoji)


@dg.op(
    name="duplicate_ad_op",  # Dagster wants other names for ops than for jobs; in the job it goes by the job's
    description="Checks, then shows each request as it would be sent; with `live: true` and `approval` sends them,"
    " once.",
)
def duplicate_ad_op(
    context: dg.OpExecutionContext, config: DuplicationConfig, tiktok: dg.ResourceParam[Session]
) -> None:
    """A dry run, or the duplication itself; either way what is known of it stands in the metadata."""
    wish = config.wish(context.run.tags.get(SOURCE_FLAG_TAG))
    duplicator = tiktok.duplicator(approval=_build_approval(context.run, config))
    approved = True
    try:
        if not config.live:
            if config.approval:
                context.log.warning("A dry run needs no approval code, and whoever sees this run can read it.")
            rehearsal = duplicator.rehearse(wish)
            context.log.info(format_dry_run(rehearsal))
            shown = dg.MetadataValue.md(format_dry_run(rehearsal, escape_markdown))
            context.add_output_metadata({"dry_run": shown})
            return
        context.log.info("Duplicating %s.", format_request(wish))
        before = duplicator.ledger.find(wish.key)
        entry = duplicator.carry_out(wish)
    except NotApprovedError as error:
        approved = False
        raise dg.Failure(f"not approved, nothing was sent: {error}.", allow_retries=False) from error
    except RefusedError as error:
        raise dg.Failure(f"refused, nothing more is made: {error}", allow_retries=False) from error
    except (UnfinishedError, LeaseError) as error:
        raise dg.Failure(f"{error} Launched again, it goes on where it stopped.", allow_retries=False) from error
    except TikTokError as error:
        raise dg.Failure(f"{error} {suggest_fix(error)}", allow_retries=False) from error
    finally:
        if config.live and approved:
            _export_duplications(context, tiktok, wish.advertiser_id)
    repeated = before is not None and before.status == DONE
    told = f"{format_done(entry)}{' It was done before; nothing was sent.' if repeated else ''}"
    context.log.info(told)
    context.add_output_metadata(
        {"duplication": dg.MetadataValue.md(told), "duplication_key": wish.key, "sent": not repeated}
    )


def _build_approval(run: dg.DagsterRun, config: DuplicationConfig) -> Approval:
    """Return who launched a run, and the code of its configuration."""
    tags = [
        f"{name}={escape_control_characters(run.tags[name])[:MAX_TAG_LENGTH]}"
        for name in LAUNCHER_TAGS
        if name in run.tags
    ]
    by = f"run {run.run_id}" + (f" ({', '.join(tags)})" if tags else "")
    return Approval(by, BY_CODE, config.approval) if config.approval else Approval(by)


def _export_duplications(context: dg.OpExecutionContext, tiktok: Session, advertiser_id: str) -> None:
    """Bring the account's partition of `ad_duplications` up to date."""
    rows = build_duplications_table(Ledger(tiktok.state).entries([advertiser_id]), utc_now())
    write_export(context, tiktok.store, AD_DUPLICATIONS, advertiser_id, rows)


@dg.job(
    name=DUPLICATE_JOB,
    description="Duplicates an ad into another campaign, switched off. A dry run unless `live: true`, which needs"
    " the approval code of the ad's alert.",
)
def duplicate_ad() -> None:
    """One op."""
    duplicate_ad_op.alias(DUPLICATE_JOB)()


def build_ad_duplications_asset() -> dg.AssetsDefinition:
    """The `ad_duplications` asset, an export of the ledger."""

    @dg.asset(
        name=AD_DUPLICATIONS,
        group_name=SCALING_GROUP,
        kinds={"polars", "parquet"},
        description=TABLE_DESCRIPTIONS[AD_DUPLICATIONS],
        metadata=build_table_metadata(DUPLICATIONS_COLUMNS),
        partitions_def=ADVERTISERS,
        backfill_policy=SINGLE_RUN,
        automation_condition=sources_updated_and_idle(*TRIGGERING_SOURCES[AD_DUPLICATIONS]),
        deps=["ads"],
        io_manager_key=IO_MANAGER,
    )
    def _ad_duplications(context: dg.AssetExecutionContext, tiktok: dg.ResourceParam[Session]) -> pl.DataFrame:
        entries = Ledger(tiktok.state).entries(list(context.partition_keys))
        return add_rows_metadata(context, build_duplications_table(entries, utc_now()))

    return _ad_duplications


def build_duplication_results_asset(settings: Settings) -> dg.AssetsDefinition:
    """The `duplication_results` asset; it needs the daily reports of ads."""
    schema = build_schema(report_columns(REPORTS_BY_TABLE[AD_REPORT_DAILY], settings.chosen_metrics))

    @dg.asset(
        name=DUPLICATION_RESULTS,
        group_name=SCALING_GROUP,
        kinds={"polars", "parquet"},
        description=TABLE_DESCRIPTIONS[DUPLICATION_RESULTS],
        metadata=build_table_metadata(RESULTS_COLUMNS),
        partitions_def=ADVERTISERS,
        backfill_policy=SINGLE_RUN,
        automation_condition=sources_updated_and_idle(*TRIGGERING_SOURCES[DUPLICATION_RESULTS]),
        deps=[AD_REPORT_DAILY, AD_DUPLICATIONS],
        io_manager_key=IO_MANAGER,
    )
    def _duplication_results(context: dg.AssetExecutionContext, tiktok: dg.ResourceParam[Session]) -> pl.DataFrame:
        entries = Ledger(tiktok.state).entries(list(context.partition_keys))
        done = [entry for entry in entries if entry.status == DONE]
        return add_rows_metadata(context, build_results(tiktok.store, schema, done))

    return _duplication_results


def build_results(store: HiveStore, schema: pl.Schema, entries: Sequence[LedgerEntry]) -> pl.DataFrame:
    """The results of finished duplications, from the stored days of both ads."""
    ads = sorted({ad for entry in entries for ad in (entry.ad_id, entry.made(AD_STEP)) if ad})
    owners = sorted({entry.advertiser_id for entry in entries})
    rows = store.scan(AD_REPORT_DAILY, schema, advertiser_ids=owners).filter(pl.col("ad_id").is_in(ads)).collect()
    days = find_compared_days(entries, rows)
    complete = {
        owner: {
            day for day in theirs if is_partition_complete(store.notes(AD_REPORT_DAILY, Partition(owner, day)))
        }
        for owner, theirs in days.items()
    }
    return build_results_table(entries, rows, complete)
