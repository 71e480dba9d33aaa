"""The job that duplicates an ad, the sensors that ask for it, and the tables of what became of it."""

from collections.abc import Sequence
from decimal import Decimal, InvalidOperation

import dagster as dg
import polars as pl
from pydantic import Field

from tiktok_assets.api.errors import TikTokError, mend_of
from tiktok_assets.defs.catalogue import DUPLICATIONS, MADE_AFTER, MEANINGS, RECENT_SOURCE, RESULTS
from tiktok_assets.defs.insights import after
from tiktok_assets.defs.io_manager import IO_MANAGER
from tiktok_assets.defs.partitions import ADVERTISERS, ONE_RUN
from tiktok_assets.defs.pictures import tell_rows
from tiktok_assets.defs.scaling import GROUP
from tiktok_assets.defs.telling import definition_metadata, store_export
from tiktok_assets.escaping import markdown_text, visible
from tiktok_assets.refresh.notes import is_complete
from tiktok_assets.scaling.approvals import CODE, Approval, NotApprovedError
from tiktok_assets.scaling.duplicate import RefusedError
from tiktok_assets.scaling.duplication import AD_STEP, DONE, Entry, Wish
from tiktok_assets.scaling.leases import LeaseError
from tiktok_assets.scaling.ledger import Ledger
from tiktok_assets.scaling.links import DUPLICATE_JOB
from tiktok_assets.scaling.making import UnfinishedError
from tiktok_assets.scaling.results import (
    DUPLICATIONS_COLUMNS,
    RESULTS_COLUMNS,
    compared_days,
    duplications_frame,
    results_frame,
)
from tiktok_assets.scaling.words import done_in_words, rehearsal_in_words, wish_in_words
from tiktok_assets.session import Session
from tiktok_assets.settings import Settings
from tiktok_assets.spec.reports import REPORTS_BY_TABLE, report_columns
from tiktok_assets.storage.hive_parquet import HiveStore, Partition
from tiktok_assets.storage.state import utc_now
from tiktok_assets.tables import schema_of

FROM_FLAG_TAG = "tiktok_assets/from_flag"
"""On each run `execute_duplications` asked for: the flag."""

TOLD_TAGS = ("user", "dagster/sensor_name", "dagster/schedule_name", "dagster/from_ui", "dagster/parent_run_id")
"""The tags of a run that tell who launched it; whoever launches can set them."""

LONGEST_TAG = 80


class Duplication(dg.Config):
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

    def wish(self, flag_id: str | None) -> Wish:
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
        return Wish(*ids, budget, self.again, self.enable, flag_id, self.without_emoji)


@dg.op(
    name="duplicate_ad_op",  # Dagster wants other names for ops than for jobs; in the job it goes by the job's
    description="Checks, then shows each request as it would be sent; with `live: true` and `approval` sends them,"
    " once.",
)
def duplicate_op(context: dg.OpExecutionContext, config: Duplication, tiktok: dg.ResourceParam[Session]) -> None:
    """A dry run, or the duplication itself; either way what is known of it stands in the metadata."""
    wish = config.wish(context.run.tags.get(FROM_FLAG_TAG))
    duplicator = tiktok.duplicator(approval=_approval(context.run, config))
    approved = True
    try:
        if not config.live:
            if config.approval:
                context.log.warning("A dry run needs no approval code, and whoever sees this run can read it.")
            rehearsal = duplicator.rehearse(wish)
            context.log.info(rehearsal_in_words(rehearsal))
            shown = dg.MetadataValue.md(rehearsal_in_words(rehearsal, markdown_text))
            context.add_output_metadata({"dry_run": shown})
            return
        context.log.info("Duplicating %s.", wish_in_words(wish))
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
        raise dg.Failure(f"{error} {mend_of(error)}", allow_retries=False) from error
    finally:
        if config.live and approved:
            _export(context, tiktok, wish.advertiser_id)
    repeated = before is not None and before.status == DONE
    told = f"{done_in_words(entry)}{' It was done before; nothing was sent.' if repeated else ''}"
    context.log.info(told)
    context.add_output_metadata(
        {"duplication": dg.MetadataValue.md(told), "duplication_key": wish.key, "sent": not repeated}
    )


def _approval(run: dg.DagsterRun, config: Duplication) -> Approval:
    """Return who launched a run, and the code of its configuration."""
    tags = [f"{name}={visible(run.tags[name])[:LONGEST_TAG]}" for name in TOLD_TAGS if name in run.tags]
    by = f"run {run.run_id}" + (f" ({', '.join(tags)})" if tags else "")
    return Approval(by, CODE, config.approval) if config.approval else Approval(by)


def _export(context: dg.OpExecutionContext, tiktok: Session, advertiser_id: str) -> None:
    """Bring the account's partition of `ad_duplications` up to date."""
    rows = duplications_frame(Ledger(tiktok.state).entries([advertiser_id]), utc_now())
    store_export(context, tiktok.store, DUPLICATIONS, advertiser_id, rows)


@dg.job(
    name=DUPLICATE_JOB,
    description="Duplicates an ad into another campaign, switched off. A dry run unless `live: true`, which needs"
    " the approval code of the ad's alert.",
)
def duplicate_ad() -> None:
    """One op."""
    duplicate_op.alias(DUPLICATE_JOB)()


def ad_duplications_asset() -> dg.AssetsDefinition:
    """The `ad_duplications` asset, an export of the ledger."""

    @dg.asset(
        name=DUPLICATIONS,
        group_name=GROUP,
        kinds={"polars", "parquet"},
        description=MEANINGS[DUPLICATIONS],
        metadata=definition_metadata(DUPLICATIONS_COLUMNS),
        partitions_def=ADVERTISERS,
        backfill_policy=ONE_RUN,
        automation_condition=after(*MADE_AFTER[DUPLICATIONS]),
        deps=["ads"],
        io_manager_key=IO_MANAGER,
    )
    def _ad_duplications(context: dg.AssetExecutionContext, tiktok: dg.ResourceParam[Session]) -> pl.DataFrame:
        entries = Ledger(tiktok.state).entries(list(context.partition_keys))
        return tell_rows(context, duplications_frame(entries, utc_now()))

    return _ad_duplications


def duplication_results_asset(settings: Settings) -> dg.AssetsDefinition:
    """The `duplication_results` asset; it needs the daily reports of ads."""
    schema = schema_of(report_columns(REPORTS_BY_TABLE[RECENT_SOURCE], settings.chosen_metrics))

    @dg.asset(
        name=RESULTS,
        group_name=GROUP,
        kinds={"polars", "parquet"},
        description=MEANINGS[RESULTS],
        metadata=definition_metadata(RESULTS_COLUMNS),
        partitions_def=ADVERTISERS,
        backfill_policy=ONE_RUN,
        automation_condition=after(*MADE_AFTER[RESULTS]),
        deps=[RECENT_SOURCE, DUPLICATIONS],
        io_manager_key=IO_MANAGER,
    )
    def _duplication_results(context: dg.AssetExecutionContext, tiktok: dg.ResourceParam[Session]) -> pl.DataFrame:
        entries = Ledger(tiktok.state).entries(list(context.partition_keys))
        done = [entry for entry in entries if entry.status == DONE]
        return tell_rows(context, results_of(tiktok.store, schema, done))

    return _duplication_results


def results_of(store: HiveStore, schema: pl.Schema, entries: Sequence[Entry]) -> pl.DataFrame:
    """The results of finished duplications, from the stored days of both ads."""
    ads = sorted({ad for entry in entries for ad in (entry.ad_id, entry.made(AD_STEP)) if ad})
    owners = sorted({entry.advertiser_id for entry in entries})
    rows = store.scan(RECENT_SOURCE, schema, advertiser_ids=owners).filter(pl.col("ad_id").is_in(ads)).collect()
    days = compared_days(entries, rows)
    complete = {
        owner: {day for day in theirs if is_complete(store.notes(RECENT_SOURCE, Partition(owner, day)))}
        for owner, theirs in days.items()
    }
    return results_frame(entries, rows, complete)
