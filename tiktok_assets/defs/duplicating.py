"""The job that duplicates an ad, the sensors that ask for it, and the tables of what became of it."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import nullcontext
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation

import dagster as dg
import polars as pl
import sqlalchemy as sa

from tiktok_assets.api.errors import TikTokError, mend_of
from tiktok_assets.defs.automation import UNFINISHED
from tiktok_assets.defs.catalogue import DUPLICATIONS, MADE_AFTER, MEANINGS, RECENT_SOURCE, RESULTS
from tiktok_assets.defs.insights import after
from tiktok_assets.defs.io_manager import IO_MANAGER
from tiktok_assets.defs.partitions import ADVERTISERS, ONE_RUN
from tiktok_assets.defs.pictures import tell_rows
from tiktok_assets.defs.scaling import GROUP, RETRY_AT_MOST, next_attempt
from tiktok_assets.defs.telling import definition_metadata, store_export
from tiktok_assets.escaping import markdown_text
from tiktok_assets.refresh.notes import is_complete
from tiktok_assets.scaling.duplicate import RefusedError
from tiktok_assets.scaling.duplication import AD_STEP, DONE, STARTED, Entry, Wish
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
from tiktok_assets.session import Session, open_session
from tiktok_assets.settings import Settings
from tiktok_assets.spec.reports import REPORTS_BY_TABLE, report_columns
from tiktok_assets.storage.hive_parquet import HiveStore, Partition
from tiktok_assets.storage.state import State, flags, utc_now
from tiktok_assets.tables import schema_of

KEY_TAG = "tiktok_assets/duplication"
"""On each run a sensor asked for: the key of the duplication."""

ATTEMPT_TAG = "tiktok_assets/duplication_attempt"
FROM_FLAG_TAG = "tiktok_assets/from_flag"

FRESH = timedelta(days=2)
"""Only a younger flag is acted on by itself: who switches to `execute` means what comes, not what was."""


class Duplication(dg.Config):
    """What to duplicate into what; as it stands a dry run that leaves everything switched off."""

    advertiser_id: str
    ad_id: str
    campaign_id: str
    ad_group_id: str | None = None
    budget: str | None = None
    again: int = 0
    live: bool = False
    enable: bool = False

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
        return Wish(*ids, budget, self.again, self.enable, flag_id)


@dg.op(
    name="duplicate_ad_op",  # Dagster wants other names for ops than for jobs; in the job it goes by the job's
    description="Checks, then shows each request as it would be sent; with `live: true` sends them, once.",
)
def duplicate_op(context: dg.OpExecutionContext, config: Duplication, tiktok: dg.ResourceParam[Session]) -> None:
    """A dry run, or the duplication itself; either way what is known of it stands in the metadata."""
    wish = config.wish(context.run.tags.get(FROM_FLAG_TAG))
    duplicator = tiktok.duplicator()
    try:
        if not config.live:
            rehearsal = duplicator.rehearse(wish)
            context.log.info(rehearsal_in_words(rehearsal))
            shown = dg.MetadataValue.md(rehearsal_in_words(rehearsal, markdown_text))
            context.add_output_metadata({"dry_run": shown})
            return
        context.log.info("Duplicating %s.", wish_in_words(wish))
        before = duplicator.ledger.find(wish.key)
        entry = duplicator.carry_out(wish)
    except RefusedError as error:
        raise dg.Failure(f"refused, nothing more is made: {error}", allow_retries=False) from error
    except (UnfinishedError, LeaseError) as error:
        raise dg.Failure(f"{error} Launched again, it goes on where it stopped.", allow_retries=False) from error
    except TikTokError as error:
        raise dg.Failure(f"{error} {mend_of(error)}", allow_retries=False) from error
    finally:
        if config.live:
            _export(context, tiktok, wish.advertiser_id)
    repeated = before is not None and before.status == DONE
    told = f"{done_in_words(entry)}{' It was done before; nothing was sent.' if repeated else ''}"
    context.log.info(told)
    context.add_output_metadata(
        {"duplication": dg.MetadataValue.md(told), "duplication_key": wish.key, "sent": not repeated}
    )


def _export(context: dg.OpExecutionContext, tiktok: Session, advertiser_id: str) -> None:
    """Bring the account's partition of `ad_duplications` up to date."""
    rows = duplications_frame(Ledger(tiktok.state).entries([advertiser_id]), utc_now())
    store_export(context, tiktok.store, DUPLICATIONS, advertiser_id, rows)


@dg.job(
    name=DUPLICATE_JOB,
    description="Duplicates an ad into another campaign, switched off. A dry run unless `live: true`.",
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


def fresh_wishes(state: State, settings: Settings, now: datetime) -> Iterator[Wish]:
    """What `execute` asks for: a fresh flag's ad into its account's scaling campaign, never switched on.

    An ad that was duplicated into that campaign in any way, or refused, is a person's matter from then on.
    """
    wanted = sa.select(flags).where(flags.c.flagged_at >= now - FRESH).order_by(flags.c.flagged_at)
    with state.transaction() as connection:
        rows = connection.execute(wanted).mappings().all()
    known = {(one.advertiser_id, one.ad_id, one.campaign_id) for one in Ledger(state).entries()}
    for row in rows:
        owner, ad_id = row["advertiser_id"], row["ad_id"]
        target = settings.scaling_campaigns.get(owner)
        if target and target != row["campaign_id"] and (owner, ad_id, target) not in known:
            yield Wish(owner, ad_id, target, flag_id=row["flag_id"])


def unfinished_wishes(state: State) -> Iterator[Wish]:
    """What was begun live, and nobody is at work on now."""
    ledger = Ledger(state)
    for entry in ledger.entries(status=STARTED):
        if not ledger.is_held(entry.advertiser_id):
            yield entry.wish


def requests_for(instance: dg.DagsterInstance, wishes: Iterable[Wish]) -> Iterator[dg.RunRequest]:
    """A live run for each wish, unless one is under way or the last one was a short while ago."""
    for wish in wishes:
        earlier = instance.get_run_records(dg.RunsFilter(tags={KEY_TAG: wish.key}), limit=1)
        # A run whose process was killed says for ever that it is under way.
        young = bool(earlier) and datetime.now(UTC) - earlier[0].create_timestamp < RETRY_AT_MOST
        if young and earlier[0].dagster_run.status in UNFINISHED:
            continue
        told = earlier[0].dagster_run.tags.get(ATTEMPT_TAG, "0") if earlier else "0"
        attempt = next_attempt((int(told), earlier[0].create_timestamp) if earlier else None, datetime.now(UTC))
        if attempt is None:
            continue
        config = {
            "advertiser_id": wish.advertiser_id,
            "ad_id": wish.ad_id,
            "campaign_id": wish.campaign_id,
            "again": wish.again,
            "live": True,
            "enable": wish.enable,
            **({"ad_group_id": wish.ad_group_id} if wish.ad_group_id else {}),
            **({"budget": str(wish.budget)} if wish.budget is not None else {}),
        }
        yield dg.RunRequest(
            run_key=f"{wish.key}:{attempt}",
            job_name=DUPLICATE_JOB,
            run_config={"ops": {DUPLICATE_JOB: {"config": config}}},
            tags={
                KEY_TAG: wish.key,
                ATTEMPT_TAG: str(attempt),
                **({FROM_FLAG_TAG: wish.flag_id} if wish.flag_id else {}),
            },
        )


def _sensor(
    name: str, description: str, status: dg.DefaultSensorStatus, settings: Settings, shared: Session | None
) -> dg.SensorDefinition:
    @dg.sensor(
        name=name,
        job=duplicate_ad,
        minimum_interval_seconds=60,
        default_status=status,
        description=description,
    )
    def _asks(context: dg.SensorEvaluationContext) -> Iterator[dg.RunRequest | dg.SkipReason]:
        with nullcontext(shared) if shared else open_session(settings) as session:
            state = session.state
            begun = name == FINISH
            wishes = list(unfinished_wishes(state) if begun else fresh_wishes(state, settings, session.now()))
        requests = list(requests_for(context.instance, wishes))
        yield from requests
        if not requests:
            yield dg.SkipReason("Nothing is half made." if begun else "No fresh flag waits for its duplication.")

    return _asks


FINISH, EXECUTE = "finish_duplications", "execute_duplications"


def duplication_sensors(settings: Settings, shared: Session | None = None) -> list[dg.SensorDefinition]:
    """The sensors of the mode: none in `alert`; what a live launch began is finished; `execute` begins by itself.

    The second writes what no person asked for, so it runs only once a person has switched it on.
    """
    running, stopped = dg.DefaultSensorStatus.RUNNING, dg.DefaultSensorStatus.STOPPED
    finish = _sensor(
        FINISH, "Asks again for live duplications that were interrupted half way.", running, settings, shared
    )
    execute = _sensor(
        EXECUTE,
        "Duplicates each newly flagged ad into the scaling campaign, switched off.",
        stopped,
        settings,
        shared,
    )
    return {"alert": [], "propose": [finish], "execute": [finish, execute]}[settings.scaling_mode]
