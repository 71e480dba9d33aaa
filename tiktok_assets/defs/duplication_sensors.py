"""The sensors that launch live duplications: what was begun is finished; in `execute` a flag is acted on."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import nullcontext
from datetime import UTC, datetime, timedelta
from functools import partial

import dagster as dg
import sqlalchemy as sa

from tiktok_assets.defs.automation import UNFINISHED
from tiktok_assets.defs.duplicating import FROM_FLAG_TAG, duplicate_ad
from tiktok_assets.defs.scaling import RETRY_AT_MOST, next_attempt
from tiktok_assets.scaling.approvals import issue_for_run
from tiktok_assets.scaling.duplication import STARTED, Wish
from tiktok_assets.scaling.ledger import Ledger
from tiktok_assets.scaling.links import DUPLICATE_JOB
from tiktok_assets.session import Session, open_session
from tiktok_assets.settings import Settings
from tiktok_assets.storage.state import State, flags, utc_now

KEY_TAG = "tiktok_assets/duplication"
"""On each run a sensor asked for: the key of the duplication."""

ATTEMPT_TAG = "tiktok_assets/duplication_attempt"

FRESH = timedelta(days=2)
"""Only a younger flag is acted on by itself: who switches to `execute` means what comes, not what was."""


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


def requests_for(
    instance: dg.DagsterInstance, wishes: Iterable[Wish], code_of: Callable[[Wish], str] | None = None
) -> Iterator[dg.RunRequest]:
    """Yield a live run for each wish, unless one is under way or the last one was a short while ago.

    Args:
        instance: to look for earlier runs.
        wishes: what to duplicate.
        code_of: issues the code that lets a run begin its wish; None for runs that only finish what was begun.
    """
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
            **({"approval": code_of(wish)} if code_of else {}),
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


def _code(state: State, wish: Wish) -> str:
    with state.transaction() as connection:
        return issue_for_run(connection, wish, utc_now()).text


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
            requests = list(requests_for(context.instance, wishes, None if begun else partial(_code, state)))
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
