"""Define the sensors that flag new top spenders and launch live duplications."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial

import dagster as dg
import sqlalchemy as sa

from tiktok_assets.alerts import DUPLICATE_JOB
from tiktok_assets.defs.names import Names
from tiktok_assets.defs.run_tags import (
    DUPLICATION_ATTEMPT_TAG,
    DUPLICATION_KEY_TAG,
    FLAG_ATTEMPT_TAG,
    FLAG_TAG,
    SOURCE_FLAG_TAG,
    UNFINISHED_STATUSES,
)
from tiktok_assets.defs.scaling_jobs import FLAG_JOB, FLAG_OP
from tiktok_assets.defs.table_catalog import DUPLICATION_CANDIDATES, TOP_SPENDERS
from tiktok_assets.duplication import STARTED, DuplicationRequest, Ledger, issue_run_code
from tiktok_assets.escaping import escape_control_characters
from tiktok_assets.session import Session, open_session
from tiktok_assets.settings import Settings
from tiktok_assets.storage import State, flags, utc_now
from tiktok_assets.top_spenders import Assessment, assess_ads

RANKINGS_PER_PAGE = 200

MAX_PAGES_PER_TICK = 10
"""A tick has sixty seconds, so the backlog after a lost cursor is read over several ticks."""

MAX_REPORTED_ADS = 20

INITIAL_RETRY_DELAY = timedelta(minutes=10)
MAX_RETRY_DELAY = timedelta(hours=4)

FINISH_SENSOR, EXECUTE_SENSOR = "finish_duplications", "execute_duplications"


@dataclass(frozen=True, slots=True)
class RankingEvaluation:
    """The result of one evaluation of the rankings.

    Attributes:
        requests: the requested runs of `flag_top_spender`.
        messages: one sentence per finding.
        cursor: where the next evaluation starts.
    """

    requests: Sequence[dg.RunRequest]
    messages: Sequence[str]
    cursor: str | None


def evaluate_rankings(instance: dg.DagsterInstance, session: Session, cursor: str | None) -> RankingEvaluation:
    """Assess all new top spenders and request a run for each that no guardrail holds back, without side effects.

    Only the state decides which flags are due. The rankings since the cursor are only counted for the message, so
    a lost cursor or instance requests no flag that was already written.
    """
    names = Names(session.settings)
    count, new_cursor = _count_rankings_since(instance, names, cursor)
    requests: list[dg.RunRequest] = []
    messages: list[str] = []
    held_back: list[str] = []
    for assessment in assess_ads(session.state, session.store, session.settings, session.now()):
        _, campaign_id, ad_id = assessment.ad_key
        ad_name = escape_control_characters(str(assessment.facts.get("ad_name") or "ad"))
        name = f"{ad_name} ({ad_id}) in campaign {campaign_id}"
        if assessment.holds:
            held_back.append(f"Held back: {name}: {escape_control_characters(str(assessment.reason))}.")
            continue
        earlier = instance.get_run_records(dg.RunsFilter(tags={names.tag(FLAG_TAG): assessment.flag_id}), limit=1)
        last = (_parse_attempt(earlier[0].dagster_run), earlier[0].create_timestamp) if earlier else None
        attempt = get_next_attempt(last, datetime.now(UTC))
        if attempt is None:
            messages.append(f"Already requested: {name}: run {earlier[0].dagster_run.run_id}.")
            continue
        messages.append(f"New top spender: {name}.")
        requests.append(_build_flag_run(names, assessment, attempt))
    messages += held_back
    if len(messages) > MAX_REPORTED_ADS:
        messages[MAX_REPORTED_ADS:] = [
            f"And {len(messages) - MAX_REPORTED_ADS} more; see {DUPLICATION_CANDIDATES}."
        ]
    first = f"{count} ranking{'' if count == 1 else 's'} since the last evaluation."
    return RankingEvaluation(requests, [first, *(messages or ["No campaign has a new top spender."])], new_cursor)


def get_latest_ranking_cursor(instance: dg.DagsterInstance, settings: Settings) -> str | None:
    """Return the cursor after the newest materialization of a ranking, or None."""
    newest = instance.fetch_materializations(Names(settings).key(TOP_SPENDERS), limit=1).records
    return str(newest[0].storage_id) if newest else None


def _count_rankings_since(
    instance: dg.DagsterInstance, names: Names, cursor: str | None
) -> tuple[int, str | None]:
    """Return how many rankings were materialized since a cursor, and the cursor after them."""
    after_id = int(cursor) if cursor and cursor.isdecimal() else 0
    count = 0
    for _ in range(MAX_PAGES_PER_TICK):
        records_filter = dg.AssetRecordsFilter(asset_key=names.key(TOP_SPENDERS), after_storage_id=after_id)
        page = instance.fetch_materializations(records_filter, limit=RANKINGS_PER_PAGE, ascending=True)
        if page.records:
            count += len(page.records)
            after_id = page.records[-1].storage_id
        if not page.has_more:
            break
    return count, str(after_id) if after_id else None


def get_next_attempt(last: tuple[int, datetime] | None, now: datetime) -> int | None:
    """Return the number of the next attempt, or None while the last attempt can still succeed.

    Dagster launches each run key only once, so a retry after a failed or lost run needs a new key. The delay
    doubles with every attempt; one run too many does no harm.

    Args:
        last: the number of the newest attempt and when its run was created, in any status; None if there is none.
        now: timezone-aware.
    """
    if last is None:
        return 0
    attempt, created_at = last
    delay = min(INITIAL_RETRY_DELAY * 2 ** min(attempt, 10), MAX_RETRY_DELAY)
    return attempt + 1 if now >= created_at + delay else None


def _parse_attempt(run: dg.DagsterRun) -> int:
    attempt = run.tags.get(FLAG_ATTEMPT_TAG, "")
    return int(attempt) if attempt.isdecimal() else 0


def _build_flag_run(names: Names, assessment: Assessment, attempt: int) -> dg.RunRequest:
    advertiser_id, campaign_id, ad_id = assessment.ad_key
    ids: Mapping[str, str] = {"advertiser_id": advertiser_id, "campaign_id": campaign_id, "ad_id": ad_id}
    return dg.RunRequest(
        run_key=f"{assessment.flag_id}:{attempt}",
        job_name=names.name(FLAG_JOB),
        run_config={"ops": {FLAG_OP: {"config": dict(ids)}}},
        tags={
            names.tag(FLAG_TAG): assessment.flag_id,
            FLAG_ATTEMPT_TAG: str(attempt),
            **{f"tiktok_assets/{name}": value for name, value in ids.items()},
        },
    )


def build_new_top_spender_sensor(
    settings: Settings, flag_job: dg.JobDefinition, shared: Session | None = None
) -> dg.SensorDefinition:
    """Build the sensor `new_top_spender`, which requests one flag for each new top spender of a campaign."""

    @dg.sensor(
        name=Names(settings).name("new_top_spender"),
        job=flag_job,
        minimum_interval_seconds=30,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Flags each ad that overtook its campaign's top spender, once, and reports held back ads.",
    )
    def _new_top_spender(context: dg.SensorEvaluationContext) -> dg.SensorResult:
        with nullcontext(shared) if shared else open_session(settings) as session:
            evaluation = evaluate_rankings(context.instance, session, context.cursor)
        if not evaluation.requests:
            return dg.SensorResult(skip_reason="\n".join(evaluation.messages), cursor=evaluation.cursor)
        context.log.info("\n".join(evaluation.messages))  # Dagster shows no message for a tick that requests runs
        return dg.SensorResult(run_requests=list(evaluation.requests), cursor=evaluation.cursor)

    return _new_top_spender


MAX_FLAG_AGE = timedelta(days=2)
"""Older flags are not duplicated, so that switching to `execute` does not act on flags of the past."""


def find_flagged_requests(state: State, settings: Settings, now: datetime) -> Iterator[DuplicationRequest]:
    """Yield a request to copy each newly flagged ad into its account's scaling campaign, switched off.

    An ad with any ledger entry for that campaign, also a refused one, is skipped and left to a person, as is an ad
    that cannot be duplicated. Flags of earlier releases do not say that; their ads could be.
    """
    query = sa.select(flags).where(flags.c.flagged_at >= now - MAX_FLAG_AGE).order_by(flags.c.flagged_at)
    with state.transaction() as connection:
        rows = connection.execute(query).mappings().all()
    known = {(entry.advertiser_id, entry.ad_id, entry.campaign_id) for entry in Ledger(state).entries()}
    for row in rows:
        advertiser_id, ad_id = row["advertiser_id"], row["ad_id"]
        target = settings.scaling_campaigns.get(advertiser_id)
        if row["facts"].get("duplicable", "yes") != "yes":
            continue
        if target and target != row["campaign_id"] and (advertiser_id, ad_id, target) not in known:
            yield DuplicationRequest(advertiser_id, ad_id, target, flag_id=row["flag_id"])


def find_unfinished_requests(state: State) -> Iterator[DuplicationRequest]:
    """Yield the live duplications that were started and on which no process holds the lease."""
    ledger = Ledger(state)
    for entry in ledger.entries(status=STARTED):
        if not ledger.is_leased(entry.advertiser_id):
            yield entry.request


def build_duplication_runs(
    instance: dg.DagsterInstance,
    settings: Settings,
    duplications: Iterable[DuplicationRequest],
    issue_code: Callable[[DuplicationRequest], str] | None = None,
) -> Iterator[dg.RunRequest]:
    """Yield a live run for each duplication, unless one is in progress or the last attempt was too recent.

    Args:
        instance: holds the earlier runs.
        settings: with the prefix of the job and the tags.
        duplications: what to duplicate.
        issue_code: issues the approval code a run needs to start a duplication; None for runs that only finish
            started ones.
    """
    names = Names(settings)
    for duplication in duplications:
        earlier = instance.get_run_records(
            dg.RunsFilter(tags={names.tag(DUPLICATION_KEY_TAG): duplication.key}), limit=1
        )
        # A run whose process was killed stays in its unfinished status forever.
        is_recent = bool(earlier) and datetime.now(UTC) - earlier[0].create_timestamp < MAX_RETRY_DELAY
        if is_recent and earlier[0].dagster_run.status in UNFINISHED_STATUSES:
            continue
        number = earlier[0].dagster_run.tags.get(DUPLICATION_ATTEMPT_TAG, "0") if earlier else "0"
        attempt = get_next_attempt(
            (int(number), earlier[0].create_timestamp) if earlier else None, datetime.now(UTC)
        )
        if attempt is None:
            continue
        config = {
            "advertiser_id": duplication.advertiser_id,
            "ad_id": duplication.ad_id,
            "campaign_id": duplication.campaign_id,
            "again": duplication.again,
            "live": True,
            "enable": duplication.enable,
            **({"ad_group_id": duplication.ad_group_id} if duplication.ad_group_id else {}),
            **({"budget": str(duplication.budget)} if duplication.budget is not None else {}),
            **({"approval": issue_code(duplication)} if issue_code else {}),
        }
        yield dg.RunRequest(
            run_key=f"{duplication.key}:{attempt}",
            job_name=names.name(DUPLICATE_JOB),
            run_config={"ops": {DUPLICATE_JOB: {"config": config}}},
            tags={
                names.tag(DUPLICATION_KEY_TAG): duplication.key,
                DUPLICATION_ATTEMPT_TAG: str(attempt),
                **({SOURCE_FLAG_TAG: duplication.flag_id} if duplication.flag_id else {}),
            },
        )


def _issue_code(state: State, duplication: DuplicationRequest) -> str:
    with state.transaction() as connection:
        return issue_run_code(connection, duplication, utc_now()).text


def _build_duplication_sensor(
    name: str, status: dg.DefaultSensorStatus, settings: Settings, job: dg.JobDefinition, shared: Session | None
) -> dg.SensorDefinition:
    names = Names(settings)

    @dg.sensor(
        name=names.name(name),
        job=job,
        minimum_interval_seconds=60,
        default_status=status,
        description=_DESCRIPTIONS[name],
    )
    def _duplication_sensor(context: dg.SensorEvaluationContext) -> Iterator[dg.RunRequest | dg.SkipReason]:
        with nullcontext(shared) if shared else open_session(settings) as session:
            state = session.state
            finishes = name == FINISH_SENSOR
            duplications = list(
                find_unfinished_requests(state)
                if finishes
                else find_flagged_requests(state, settings, session.now())
            )
            requests = list(
                build_duplication_runs(
                    context.instance, settings, duplications, None if finishes else partial(_issue_code, state)
                )
            )
        yield from requests
        if not requests:
            yield dg.SkipReason(
                "No duplication is unfinished." if finishes else "No new flag is waiting for its duplication."
            )

    return _duplication_sensor


_DESCRIPTIONS = {
    FINISH_SENSOR: "Requests another run for live duplications that were interrupted.",
    EXECUTE_SENSOR: "Duplicates each newly flagged ad into the scaling campaign, switched off.",
}


def build_duplication_sensors(
    settings: Settings, job: dg.JobDefinition, shared: Session | None = None
) -> list[dg.SensorDefinition]:
    """Build the sensors of the scaling mode: none for `alert`, the first for `propose`, both for `execute`.

    `execute_duplications` writes to TikTok without a person's request, so it is stopped until someone starts it.
    """
    running, stopped = dg.DefaultSensorStatus.RUNNING, dg.DefaultSensorStatus.STOPPED
    finish = _build_duplication_sensor(FINISH_SENSOR, running, settings, job, shared)
    execute = _build_duplication_sensor(EXECUTE_SENSOR, stopped, settings, job, shared)
    return {"alert": [], "propose": [finish], "execute": [finish, execute]}[settings.scaling_mode]
