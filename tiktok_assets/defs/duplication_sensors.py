"""Define the sensors that launch live duplications: `finish_duplications` and `execute_duplications`."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import nullcontext
from datetime import UTC, datetime, timedelta
from functools import partial

import dagster as dg
import sqlalchemy as sa

from tiktok_assets.alerts.dagster_urls import DUPLICATE_JOB
from tiktok_assets.defs.jobs import UNFINISHED_STATUSES
from tiktok_assets.defs.scaling_jobs import SOURCE_FLAG_TAG, duplicate_ad
from tiktok_assets.defs.scaling_sensors import MAX_RETRY_DELAY, get_next_attempt
from tiktok_assets.duplication.approvals import issue_run_code
from tiktok_assets.duplication.ledger import Ledger
from tiktok_assets.duplication.models import STARTED, DuplicationRequest
from tiktok_assets.session import Session, open_session
from tiktok_assets.settings import Settings
from tiktok_assets.storage.state import State, flags, utc_now

DUPLICATION_KEY_TAG = "tiktok_assets/duplication"
"""On each run a sensor asked for: the key of the duplication."""

DUPLICATION_ATTEMPT_TAG = "tiktok_assets/duplication_attempt"

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
        if not ledger.is_held(entry.advertiser_id):
            yield entry.wish


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
