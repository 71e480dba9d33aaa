"""Define the sensor `new_top_spender`, the job that flags an ad, and the table `duplication_candidates`."""

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import dagster as dg
import polars as pl

from tiktok_assets.defs.insight_assets import sources_updated_and_idle
from tiktok_assets.defs.metadata import build_table_metadata, write_export
from tiktok_assets.defs.partitions import ADVERTISERS, SINGLE_RUN
from tiktok_assets.defs.plots import add_rows_metadata
from tiktok_assets.defs.resources import IO_MANAGER
from tiktok_assets.defs.table_catalog import DUPLICATION_CANDIDATES, TOP_SPENDERS, TRIGGERING_SOURCES
from tiktok_assets.escaping import escape_control_characters
from tiktok_assets.session import Session, open_session
from tiktok_assets.settings import Settings
from tiktok_assets.top_spenders.candidates import CANDIDATES_COLUMNS, build_candidates_table
from tiktok_assets.top_spenders.flags import Assessment, assess_ads, record_flag

SCALING_GROUP = "scaling"
FLAG_JOB = "flag_top_spender"
FLAG_TAG = "tiktok_assets/flag"
"""On each run that shall flag: the flag's id."""

FLAG_ATTEMPT_TAG = "tiktok_assets/flag_attempt"
AD_TAG = "tiktok_assets/ad_id"

RANKINGS_PER_PAGE = 200
MAX_PAGES_PER_TICK = 10
"""A tick has sixty seconds; what a lost cursor leaves to read is read over several."""

MAX_REPORTED_ADS = 20

INITIAL_RETRY_DELAY = timedelta(minutes=10)
MAX_RETRY_DELAY = timedelta(hours=4)


class FlagConfig(dg.Config):
    """The ad to flag; the sensor fills it in."""

    advertiser_id: str
    campaign_id: str
    ad_id: str


@dg.op(
    description="Writes the flag and its alert in one transaction, unless a guardrail holds the ad back by now."
)
def flag_ad(context: dg.OpExecutionContext, config: FlagConfig, tiktok: dg.ResourceParam[Session]) -> None:
    """Flag, say what was found, and bring the account's candidates up to date."""
    pair = (config.advertiser_id, config.campaign_id, config.ad_id)
    try:
        found = record_flag(tiktok.state, tiktok.store, tiktok.settings, pair, tiktok.now())
    except LookupError as error:
        raise dg.Failure(f"{error}; check the three ids", allow_retries=False) from error
    context.log.info(
        f"Held back: {escape_control_characters(str(found.reason))}."
        if found.holds
        else f"Flagged as {found.flag_id}."
    )
    rows = build_candidates_table(
        tiktok.state, tiktok.store, tiktok.settings, tiktok.now(), [config.advertiser_id]
    )
    write_export(context, tiktok.store, DUPLICATION_CANDIDATES, config.advertiser_id, rows)


@dg.job(name=FLAG_JOB, description="Flags one new top spender and tells of it; `new_top_spender` asks for it.")
def flag_top_spender() -> None:
    """One op."""
    flag_ad()


def build_duplication_candidates_asset(settings: Settings) -> dg.AssetsDefinition:
    """The `duplication_candidates` asset, an export of the state."""

    @dg.asset(
        name=DUPLICATION_CANDIDATES,
        group_name=SCALING_GROUP,
        kinds={"polars", "parquet"},
        description="Ads that began to lead their campaign: flagged, or held back and why.",
        metadata=build_table_metadata(CANDIDATES_COLUMNS),
        partitions_def=ADVERTISERS,
        backfill_policy=SINGLE_RUN,
        automation_condition=sources_updated_and_idle(*TRIGGERING_SOURCES[DUPLICATION_CANDIDATES]),
        deps=[TOP_SPENDERS, "campaigns", "ad_groups", "ads"],
        io_manager_key=IO_MANAGER,
    )
    def _duplication_candidates(
        context: dg.AssetExecutionContext, tiktok: dg.ResourceParam[Session]
    ) -> pl.DataFrame:
        keys = list(context.partition_keys)
        return add_rows_metadata(
            context, build_candidates_table(tiktok.state, tiktok.store, settings, tiktok.now(), keys)
        )

    return _duplication_candidates


@dataclass(frozen=True, slots=True)
class RankingEvaluation:
    """What one look at the rankings found.

    Attributes:
        requests: the runs that shall flag.
        told: what was seen, a sentence each.
        cursor: where the next look begins.
    """

    requests: Sequence[dg.RunRequest]
    told: Sequence[str]
    cursor: str | None


def evaluate_rankings(instance: dg.DagsterInstance, session: Session, cursor: str | None) -> RankingEvaluation:
    """Assess everyone who began to lead, and ask for a run for each that nothing holds back; changes nothing.

    What is due follows from the state alone. The rankings since the cursor are read to tell of them: a lost cursor
    or instance asks for nothing twice that the state does not allow.
    """
    seen, reached = _count_rankings_since(instance, cursor)
    requests: list[dg.RunRequest] = []
    news: list[str] = []
    held: list[str] = []
    for one in assess_ads(session.state, session.store, session.settings, session.now()):
        name = f"{escape_control_characters(str(one.facts.get('ad_name') or 'ad'))} ({one.pair[2]}) in campaign {one.pair[1]}"
        if one.holds:
            held.append(f"Held back: {name}: {escape_control_characters(str(one.reason))}.")
            continue
        earlier = instance.get_run_records(dg.RunsFilter(tags={FLAG_TAG: one.flag_id}), limit=1)
        last = (_parse_attempt(earlier[0].dagster_run), earlier[0].create_timestamp) if earlier else None
        attempt = get_next_attempt(last, datetime.now(UTC))
        if attempt is None:
            news.append(f"Asked for already: {name}: run {earlier[0].dagster_run.run_id}.")
            continue
        news.append(f"New top spender: {name}.")
        requests.append(_build_flag_run(one, attempt))
    told = [*news, *held]
    if len(told) > MAX_REPORTED_ADS:
        told[MAX_REPORTED_ADS:] = [f"And {len(told) - MAX_REPORTED_ADS} more; see {DUPLICATION_CANDIDATES}."]
    made = f"{seen} ranking{'' if seen == 1 else 's'} since the last look."
    return RankingEvaluation(requests, [made, *(told or ["Nobody new leads a campaign."])], reached)


def get_latest_ranking_cursor(instance: dg.DagsterInstance) -> str | None:
    """The cursor behind the newest materialization of a ranking."""
    newest = instance.fetch_materializations(dg.AssetKey(TOP_SPENDERS), limit=1).records
    return str(newest[0].storage_id) if newest else None


def _count_rankings_since(instance: dg.DagsterInstance, cursor: str | None) -> tuple[int, str | None]:
    """How many rankings were materialized since a cursor, and the cursor behind them."""
    after_id = int(cursor) if cursor and cursor.isdecimal() else 0
    seen = 0
    for _ in range(MAX_PAGES_PER_TICK):
        wanted = dg.AssetRecordsFilter(asset_key=dg.AssetKey(TOP_SPENDERS), after_storage_id=after_id)
        page = instance.fetch_materializations(wanted, limit=RANKINGS_PER_PAGE, ascending=True)
        if page.records:
            seen += len(page.records)
            after_id = page.records[-1].storage_id
        if not page.has_more:
            break
    return seen, str(after_id) if after_id else None


def get_next_attempt(last: tuple[int, datetime] | None, now: datetime) -> int | None:
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
    wait = min(INITIAL_RETRY_DELAY * 2 ** min(attempt, 10), MAX_RETRY_DELAY)
    return attempt + 1 if now >= made_at + wait else None


def _parse_attempt(run: dg.DagsterRun) -> int:
    told = run.tags.get(FLAG_ATTEMPT_TAG, "")
    return int(told) if told.isdecimal() else 0


def _build_flag_run(found: Assessment, attempt: int) -> dg.RunRequest:
    advertiser_id, campaign_id, ad_id = found.pair
    ids: Mapping[str, str] = {"advertiser_id": advertiser_id, "campaign_id": campaign_id, "ad_id": ad_id}
    return dg.RunRequest(
        run_key=f"{found.flag_id}:{attempt}",
        job_name=FLAG_JOB,
        run_config={"ops": {flag_ad.name: {"config": dict(ids)}}},
        tags={
            FLAG_TAG: found.flag_id,
            FLAG_ATTEMPT_TAG: str(attempt),
            **{f"tiktok_assets/{name}": value for name, value in ids.items()},
        },
    )


def build_new_top_spender_sensor(settings: Settings, shared: Session | None = None) -> dg.SensorDefinition:
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
            seen = evaluate_rankings(context.instance, session, context.cursor)
        if not seen.requests:
            return dg.SensorResult(skip_reason="\n".join(seen.told), cursor=seen.cursor)
        context.log.info("\n".join(seen.told))  # a tick that asks for runs has no message of its own
        return dg.SensorResult(run_requests=list(seen.requests), cursor=seen.cursor)

    return _new_top_spender
