"""The sensor that sees a new top spender, the job that flags it, and the table `duplication_candidates`."""

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import dagster as dg
import polars as pl

from tiktok_assets.defs.catalogue import CANDIDATES, MADE_AFTER, RANKING
from tiktok_assets.defs.insights import after
from tiktok_assets.defs.io_manager import IO_MANAGER
from tiktok_assets.defs.partitions import ADVERTISERS, ONE_RUN
from tiktok_assets.defs.pictures import tell_rows
from tiktok_assets.defs.telling import definition_metadata, store_export
from tiktok_assets.escaping import visible
from tiktok_assets.scaling.candidates import CANDIDATES_COLUMNS, candidates
from tiktok_assets.scaling.flags import Assessment, assess, flag
from tiktok_assets.session import Session, open_session
from tiktok_assets.settings import Settings

GROUP = "scaling"
FLAG_JOB = "flag_top_spender"
FLAG_TAG = "tiktok_assets/flag"
"""On each run that shall flag: the flag's id."""

ATTEMPT_TAG = "tiktok_assets/flag_attempt"
AD_TAG = "tiktok_assets/ad_id"

PAGE = 200
PAGES_A_TICK = 10
"""A tick has sixty seconds; what a lost cursor leaves to read is read over several."""

TELLS_AT_MOST = 20

RETRY = timedelta(minutes=10)
RETRY_AT_MOST = timedelta(hours=4)


class WhichAd(dg.Config):
    """The ad to flag; the sensor fills it in."""

    advertiser_id: str
    campaign_id: str
    ad_id: str


@dg.op(
    description="Writes the flag and its alert in one transaction, unless a guardrail holds the ad back by now."
)
def flag_ad(context: dg.OpExecutionContext, config: WhichAd, tiktok: dg.ResourceParam[Session]) -> None:
    """Flag, say what was found, and bring the account's candidates up to date."""
    pair = (config.advertiser_id, config.campaign_id, config.ad_id)
    try:
        found = flag(tiktok.state, tiktok.store, tiktok.settings, pair, tiktok.now())
    except LookupError as error:
        raise dg.Failure(f"{error}; check the three ids", allow_retries=False) from error
    context.log.info(
        f"Held back: {visible(str(found.reason))}." if found.holds else f"Flagged as {found.flag_id}."
    )
    rows = candidates(tiktok.state, tiktok.store, tiktok.settings, tiktok.now(), [config.advertiser_id])
    store_export(context, tiktok.store, CANDIDATES, config.advertiser_id, rows)


@dg.job(name=FLAG_JOB, description="Flags one new top spender and tells of it; `new_top_spender` asks for it.")
def flag_top_spender() -> None:
    """One op."""
    flag_ad()


def duplication_candidates_asset(settings: Settings) -> dg.AssetsDefinition:
    """The `duplication_candidates` asset, an export of the state."""

    @dg.asset(
        name=CANDIDATES,
        group_name=GROUP,
        kinds={"polars", "parquet"},
        description="Ads that began to lead their campaign: flagged, or held back and why.",
        metadata=definition_metadata(CANDIDATES_COLUMNS),
        partitions_def=ADVERTISERS,
        backfill_policy=ONE_RUN,
        automation_condition=after(*MADE_AFTER[CANDIDATES]),
        deps=[RANKING, "campaigns", "ad_groups", "ads"],
        io_manager_key=IO_MANAGER,
    )
    def _duplication_candidates(
        context: dg.AssetExecutionContext, tiktok: dg.ResourceParam[Session]
    ) -> pl.DataFrame:
        keys = list(context.partition_keys)
        return tell_rows(context, candidates(tiktok.state, tiktok.store, settings, tiktok.now(), keys))

    return _duplication_candidates


@dataclass(frozen=True, slots=True)
class Look:
    """What one look at the rankings found.

    Attributes:
        requests: the runs that shall flag.
        told: what was seen, a sentence each.
        cursor: where the next look begins.
    """

    requests: Sequence[dg.RunRequest]
    told: Sequence[str]
    cursor: str | None


def look(instance: dg.DagsterInstance, session: Session, cursor: str | None) -> Look:
    """Assess everyone who began to lead, and ask for a run for each that nothing holds back; changes nothing.

    What is due follows from the state alone. The rankings since the cursor are read to tell of them: a lost cursor
    or instance asks for nothing twice that the state does not allow.
    """
    seen, reached = _rankings_since(instance, cursor)
    requests: list[dg.RunRequest] = []
    news: list[str] = []
    held: list[str] = []
    for one in assess(session.state, session.store, session.settings, session.now()):
        name = f"{visible(str(one.facts.get('ad_name') or 'ad'))} ({one.pair[2]}) in campaign {one.pair[1]}"
        if one.holds:
            held.append(f"Held back: {name}: {visible(str(one.reason))}.")
            continue
        earlier = instance.get_run_records(dg.RunsFilter(tags={FLAG_TAG: one.flag_id}), limit=1)
        last = (_attempt(earlier[0].dagster_run), earlier[0].create_timestamp) if earlier else None
        attempt = next_attempt(last, datetime.now(UTC))
        if attempt is None:
            news.append(f"Asked for already: {name}: run {earlier[0].dagster_run.run_id}.")
            continue
        news.append(f"New top spender: {name}.")
        requests.append(_request(one, attempt))
    told = [*news, *held]
    if len(told) > TELLS_AT_MOST:
        told[TELLS_AT_MOST:] = [f"And {len(told) - TELLS_AT_MOST} more; see {CANDIDATES}."]
    made = f"{seen} ranking{'' if seen == 1 else 's'} since the last look."
    return Look(requests, [made, *(told or ["Nobody new leads a campaign."])], reached)


def newest_ranking(instance: dg.DagsterInstance) -> str | None:
    """The cursor behind the newest materialization of a ranking."""
    newest = instance.fetch_materializations(dg.AssetKey(RANKING), limit=1).records
    return str(newest[0].storage_id) if newest else None


def _rankings_since(instance: dg.DagsterInstance, cursor: str | None) -> tuple[int, str | None]:
    """How many rankings were materialized since a cursor, and the cursor behind them."""
    after_id = int(cursor) if cursor and cursor.isdecimal() else 0
    seen = 0
    for _ in range(PAGES_A_TICK):
        wanted = dg.AssetRecordsFilter(asset_key=dg.AssetKey(RANKING), after_storage_id=after_id)
        page = instance.fetch_materializations(wanted, limit=PAGE, ascending=True)
        if page.records:
            seen += len(page.records)
            after_id = page.records[-1].storage_id
        if not page.has_more:
            break
    return seen, str(after_id) if after_id else None


def next_attempt(last: tuple[int, datetime] | None, now: datetime) -> int | None:
    """The number of the next run for a flag that is still due; None while the last one may still make it.

    Dagster launches a run key once, ever, so after a run that failed or was lost the next needs a key of its own.
    The wait doubles with every attempt; one run too many does no harm.

    Args:
        last: the number of the newest run and when it was made, whatever became of it; None if there is none.
        now: aware.
    """
    if last is None:
        return 0
    attempt, made_at = last
    wait = min(RETRY * 2 ** min(attempt, 10), RETRY_AT_MOST)
    return attempt + 1 if now >= made_at + wait else None


def _attempt(run: dg.DagsterRun) -> int:
    told = run.tags.get(ATTEMPT_TAG, "")
    return int(told) if told.isdecimal() else 0


def _request(found: Assessment, attempt: int) -> dg.RunRequest:
    advertiser_id, campaign_id, ad_id = found.pair
    ids: Mapping[str, str] = {"advertiser_id": advertiser_id, "campaign_id": campaign_id, "ad_id": ad_id}
    return dg.RunRequest(
        run_key=f"{found.flag_id}:{attempt}",
        job_name=FLAG_JOB,
        run_config={"ops": {flag_ad.name: {"config": dict(ids)}}},
        tags={
            FLAG_TAG: found.flag_id,
            ATTEMPT_TAG: str(attempt),
            **{f"tiktok_assets/{name}": value for name, value in ids.items()},
        },
    )


def new_top_spender_sensor(settings: Settings, shared: Session | None = None) -> dg.SensorDefinition:
    """`new_top_spender`: asks for a flag for each ad that began to lead its campaign, once."""

    @dg.sensor(
        name="new_top_spender",
        job=flag_top_spender,
        minimum_interval_seconds=30,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Flags an ad that overtook its campaign's leader, once, and says why another is held back.",
    )
    def _new_top_spender(context: dg.SensorEvaluationContext) -> dg.SensorResult:
        with nullcontext(shared) if shared else open_session(settings) as session:
            seen = look(context.instance, session, context.cursor)
        if not seen.requests:
            return dg.SensorResult(skip_reason="\n".join(seen.told), cursor=seen.cursor)
        context.log.info("\n".join(seen.told))  # a tick that asks for runs has no message of its own
        return dg.SensorResult(run_requests=list(seen.requests), cursor=seen.cursor)

    return _new_top_spender
