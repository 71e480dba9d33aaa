"""Define the sensors that flag new top spenders and launch live duplications."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial

import dagster as dg
import sqlalchemy as sa

from tiktok_assets.alerts.dagster_urls import DUPLICATE_JOB
from tiktok_assets.defs.runs import (
    DUPLICATION_ATTEMPT_TAG,
    DUPLICATION_KEY_TAG,
    FLAG_ATTEMPT_TAG,
    FLAG_TAG,
    SOURCE_FLAG_TAG,
    UNFINISHED_STATUSES,
)
from tiktok_assets.defs.scaling_jobs import FLAG_JOB, duplicate_ad, flag_ad, flag_top_spender
from tiktok_assets.defs.table_catalog import DUPLICATION_CANDIDATES, TOP_SPENDERS
from tiktok_assets.duplication.approvals import issue_run_code
from tiktok_assets.duplication.ledger import Ledger
from tiktok_assets.duplication.models import STARTED, DuplicationRequest
from tiktok_assets.escaping import escape_control_characters
from tiktok_assets.session import Session, open_session
from tiktok_assets.settings import Settings
from tiktok_assets.storage.state import State, flags, utc_now
from tiktok_assets.top_spenders.flags import Assessment, assess_ads

RANKINGS_PER_PAGE = 200

MAX_PAGES_PER_TICK = 10
"""A tick has sixty seconds; what a lost cursor leaves to read is read over several."""

MAX_REPORTED_ADS = 20

INITIAL_RETRY_DELAY = timedelta(minutes=10)

MAX_RETRY_DELAY = timedelta(hours=4)


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
        name = f"{escape_control_characters(str(one.facts.get('ad_name') or 'ad'))} ({one.ad_key[2]}) in campaign {one.ad_key[1]}"
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
    advertiser_id, campaign_id, ad_id = found.ad_key
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


MAX_FLAG_AGE = timedelta(days=2)
"""Only a younger flag is acted on by itself: who switches to `execute` means what comes, not what was."""


def find_flagged_requests(state: State, settings: Settings, now: datetime) -> Iterator[DuplicationRequest]:
    """What `execute` asks for: a fresh flag's ad into its account's scaling campaign, never switched on.

    An ad that was duplicated into that campaign in any way, or refused, is a person's matter from then on.
    """
    wanted = sa.select(flags).where(flags.c.flagged_at >= now - MAX_FLAG_AGE).order_by(flags.c.flagged_at)
    with state.transaction() as connection:
        rows = connection.execute(wanted).mappings().all()
    known = {(one.advertiser_id, one.ad_id, one.campaign_id) for one in Ledger(state).entries()}
    for row in rows:
        owner, ad_id = row["advertiser_id"], row["ad_id"]
        target = settings.scaling_campaigns.get(owner)
        if target and target != row["campaign_id"] and (owner, ad_id, target) not in known:
            yield DuplicationRequest(owner, ad_id, target, flag_id=row["flag_id"])


def find_unfinished_requests(state: State) -> Iterator[DuplicationRequest]:
    """What was begun live, and nobody is at work on now."""
    ledger = Ledger(state)
    for entry in ledger.entries(status=STARTED):
        if not ledger.is_leased(entry.advertiser_id):
            yield entry.request


def build_duplication_runs(
    instance: dg.DagsterInstance,
    wishes: Iterable[DuplicationRequest],
    code_of: Callable[[DuplicationRequest], str] | None = None,
) -> Iterator[dg.RunRequest]:
    """Yield a live run for each wish, unless one is under way or the last one was a short while ago.

    Args:
        instance: to look for earlier runs.
        wishes: what to duplicate.
        code_of: issues the code that lets a run begin its wish; None for runs that only finish what was begun.
    """
    for wish in wishes:
        earlier = instance.get_run_records(dg.RunsFilter(tags={DUPLICATION_KEY_TAG: wish.key}), limit=1)
        # A run whose process was killed says for ever that it is under way.
        young = bool(earlier) and datetime.now(UTC) - earlier[0].create_timestamp < MAX_RETRY_DELAY
        if young and earlier[0].dagster_run.status in UNFINISHED_STATUSES:
            continue
        told = earlier[0].dagster_run.tags.get(DUPLICATION_ATTEMPT_TAG, "0") if earlier else "0"
        attempt = get_next_attempt(
            (int(told), earlier[0].create_timestamp) if earlier else None, datetime.now(UTC)
        )
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
            **({"approval": code_of(wish)} if code_of else {}),
        }
        yield dg.RunRequest(
            run_key=f"{wish.key}:{attempt}",
            job_name=DUPLICATE_JOB,
            run_config={"ops": {DUPLICATE_JOB: {"config": config}}},
            tags={
                DUPLICATION_KEY_TAG: wish.key,
                DUPLICATION_ATTEMPT_TAG: str(attempt),
                **({SOURCE_FLAG_TAG: wish.flag_id} if wish.flag_id else {}),
            },
        )


def _issue_code(state: State, wish: DuplicationRequest) -> str:
    with state.transaction() as connection:
        return issue_run_code(connection, wish, utc_now()).text


def _build_duplication_sensor(
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
            begun = name == FINISH_SENSOR
            wishes = list(
                find_unfinished_requests(state) if begun else find_flagged_requests(state, settings, session.now())
            )
            requests = list(
                build_duplication_runs(context.instance, wishes, None if begun else partial(_issue_code, state))
            )
        yield from requests
        if not requests:
            yield dg.SkipReason("Nothing is half made." if begun else "No fresh flag waits for its duplication.")

    return _asks


FINISH_SENSOR, EXECUTE_SENSOR = "finish_duplications", "execute_duplications"


def build_duplication_sensors(settings: Settings, shared: Session | None = None) -> list[dg.SensorDefinition]:
    """The sensors of the mode: none in `alert`; what a live launch began is finished; `execute` begins by itself.

    The second writes what no person asked for, so it runs only once a person has switched it on.
    """
    running, stopped = dg.DefaultSensorStatus.RUNNING, dg.DefaultSensorStatus.STOPPED
    finish = _build_duplication_sensor(
        FINISH_SENSOR,
        "Asks again for live duplications that were interrupted half way.",
        running,
        settings,
        shared,
    )
    execute = _build_duplication_sensor(
        EXECUTE_SENSOR,
        "Duplicates each newly flagged ad into the scaling campaign, switched off.",
        stopped,
        settings,
        shared,
    )
    return {"alert": [], "propose": [finish], "execute": [finish, execute]}[settings.scaling_mode]
