"""Define the sensors `deliver_alerts`, which drains the outbox, and `run_failure_alert`, which fills it."""

import re
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from datetime import UTC, datetime, timedelta
from functools import partial

import dagster as dg
from dagster._core.storage.asset_check_execution_record import (
    COMPLETED_ASSET_CHECK_EXECUTION_RECORD_STATUSES,  # Dagster exports no name for it
)

from tiktok_assets.alerts.check_failures import FailedCheck, build_check_failure_alert
from tiktok_assets.alerts.delivery import DeliveryReport, deliver
from tiktok_assets.alerts.outbox import enqueue, list_channels
from tiktok_assets.alerts.run_failures import GROUPING_DELAY, FailedRun, enqueue_run_failures, find_reported_runs
from tiktok_assets.file_permissions import create_private_folder
from tiktok_assets.settings import Settings
from tiktok_assets.storage.state import State, StateError, utc_now

ALERTS_FOLDER = "alerts"
MAX_LOOKBACK = timedelta(days=1)
"""What ended before is not told of, whatever was lost: it is no news."""
CURSOR_OVERLAP = timedelta(seconds=10)
"""Runs that end at once are not committed in order; the outbox knows those it has."""
MAX_RUNS_PER_TICK = 1000
MAX_TICK_SECONDS = 30
MAX_CHECK_HISTORY = 20
"""How many evaluations of a check are searched for the one before."""

WILL_RETRY_TAG = "dagster/will_retry"
"""Dagster's own mark on a failed run it will launch again."""

FINISHED_STATUSES = [dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE]


def deliver_due_alerts(settings: Settings, state: State) -> DeliveryReport:
    """Hand over what is due, to the receivers and the folder of the settings."""
    with suppress(OSError):  # what cannot be written is told of by the delivery
        create_private_folder(settings.state_dir)
    return deliver(state, list_channels(settings), settings.state_dir / ALERTS_FOLDER)


def build_deliver_alerts_sensor(settings: Settings) -> dg.SensorDefinition:
    """`deliver_alerts`: drains the outbox; a row that was delivered is not delivered again."""

    @dg.sensor(
        name="deliver_alerts",
        minimum_interval_seconds=30,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Hands the alerts that are due to the receivers in TIKTOK_ALERT_URLS; writes each as a file.",
    )
    def _deliver_alerts(_: dg.SensorEvaluationContext) -> dg.SkipReason:
        try:
            with closing(State(settings.state_address)) as state:
                return dg.SkipReason(str(deliver_due_alerts(settings, state)))
        except StateError as error:
            return dg.SkipReason(f"No alert was delivered: {error}.")

    return _deliver_alerts


def build_run_failure_alert_sensor(settings: Settings) -> dg.SensorDefinition:
    """`run_failure_alert`: puts failed runs, and checks that begin to fail, into the outbox, once each."""

    @dg.sensor(
        name="run_failure_alert",
        minimum_interval_seconds=30,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Writes an alert for failed runs (those of a minute in one) and checks that begin to fail.",
    )
    def _run_failure_alert(context: dg.SensorEvaluationContext) -> dg.SensorResult:
        now = utc_now()
        since = datetime.fromisoformat(context.cursor) if context.cursor else now - MAX_LOOKBACK
        try:
            with closing(State(settings.state_address)) as state:
                earliest = max(since - CURSOR_OVERLAP, now - MAX_LOOKBACK)
                told, seen = queue_failure_alerts(
                    settings, state, context.instance, earliest, partial(_is_in_this_location, context)
                )
        except StateError as error:
            return dg.SensorResult(skip_reason=f"No failure was looked for: {error}.")
        cursor = max(seen, since).isoformat()
        news = f"Told of: {', '.join(told)}." if told else "No new failure."
        return dg.SensorResult(skip_reason=news, cursor=cursor)

    return _run_failure_alert


def queue_and_deliver_failures(
    settings: Settings, state: State, instance: dg.DagsterInstance, since: datetime
) -> str | None:
    """What both sensors do, for a process without a daemon: put what failed into the outbox, and drain it.

    Args:
        settings: the receivers.
        state: holds the outbox.
        instance: holds the runs.
        since: aware.

    Returns:
        One line of what was delivered and what was not; None if there was nothing to do.
    """
    queue_failure_alerts(settings, state, instance, since, gathering=timedelta(0))
    told = deliver_due_alerts(settings, state)
    return str(told) if told.had_work else None


def queue_failure_alerts(
    settings: Settings,
    state: State,
    instance: dg.DagsterInstance,
    since: datetime,
    is_ours: Callable[[dg.DagsterRun], bool] = lambda _: True,
    *,
    gathering: timedelta = GROUPING_DELAY,
) -> tuple[list[str], datetime]:
    """Put what failed since an instant into the outbox: failed runs in one message, each once.

    Args:
        settings: the receivers.
        state: holds the outbox.
        instance: holds the runs.
        since: aware.
        is_ours: whether a run is to be told of.
        gathering: how long the message about runs waits for further ones.

    Returns:
        The titles of the alerts that are new, and up to when was looked.
    """
    began, told, seen = time.monotonic(), [], since
    failed: list[FailedRun] = []
    ended = instance.get_run_records(
        dg.RunsFilter(statuses=FINISHED_STATUSES, updated_after=since),
        limit=MAX_RUNS_PER_TICK,
        order_by="update_timestamp",
        ascending=True,
    )
    receivers = list_channels(settings)
    with state.transaction() as connection:
        known = find_reported_runs(connection, [record.dagster_run.run_id for record in ended])
    for record in ended:
        run = record.dagster_run
        if is_ours(run):
            if _is_final_failure(run) and run.run_id not in known:
                failed.append(_describe_failed_run(instance, record))
            if found := tuple(_find_new_check_failures(instance, run.run_id)):
                alert = build_check_failure_alert(run.run_id, found, settings)
                with state.transaction() as connection:
                    if enqueue(connection, alert, receivers, utc_now()):
                        told.append(alert.title)
        seen = record.update_timestamp.replace(tzinfo=record.update_timestamp.tzinfo or UTC)
        if time.monotonic() - began > MAX_TICK_SECONDS:
            break
    with state.transaction() as connection:
        if news := enqueue_run_failures(connection, failed, settings, receivers, utc_now(), gathering=gathering):
            told.append(news.title)
    return told, seen


def _is_in_this_location(context: dg.SensorEvaluationContext, run: dg.DagsterRun) -> bool:
    """Whether a run is of this code location, or of a process that used it without one, as `sync` does."""
    theirs, ours = run.remote_job_origin, context.code_location_origin
    if theirs is None or ours is None:
        return True
    return bool(theirs.repository_origin.code_location_origin.location_name == ours.location_name)


def _is_final_failure(run: dg.DagsterRun) -> bool:
    return run.status == dg.DagsterRunStatus.FAILURE and run.tags.get(WILL_RETRY_TAG) != "true"


def _describe_failed_run(instance: dg.DagsterInstance, record: dg.RunRecord) -> FailedRun:
    run = record.dagster_run
    ended = datetime.fromtimestamp(record.end_time or record.update_timestamp.timestamp(), UTC)
    step, reason = find_failure_reason(instance, run.run_id)
    return FailedRun(run.run_id, run.job_name, reason, ended, step)


def _find_new_check_failures(instance: dg.DagsterInstance, run_id: str) -> Iterator[FailedCheck]:
    """The checks that failed in a run and had passed, or warned only, or never run, before."""
    for entry in instance.all_logs(run_id, of_type=dg.DagsterEventType.ASSET_CHECK_EVALUATION):
        found = entry.get_dagster_event().asset_check_evaluation_data
        if found.passed:
            continue
        history = instance.event_log_storage.get_asset_check_execution_history(
            found.asset_check_key, limit=MAX_CHECK_HISTORY, status=COMPLETED_ASSET_CHECK_EXECUTION_RECORD_STATUSES
        )
        position = next((number for number, one in enumerate(history) if one.run_id == run_id), None)
        before = [one for one in history[position + 1 :] if one.event] if position is not None else []
        if before and before[0].event:
            last = before[0].event.get_dagster_event().asset_check_evaluation_data
            worse = found.severity == dg.AssetCheckSeverity.ERROR and last.severity == dg.AssetCheckSeverity.WARN
            if not last.passed and not worse:
                continue
        yield FailedCheck(
            asset=found.asset_key.to_user_string(),
            check=found.check_name,
            severity=found.severity.value,
            reason=found.description or "",
            failed_at=datetime.fromtimestamp(entry.timestamp, UTC),
        )


def find_failure_reason(instance: dg.DagsterInstance, run_id: str) -> tuple[str | None, str]:
    """The step that failed first, or None, and the first sentence of its reason, without a trace."""
    for entry in instance.all_logs(run_id, of_type=dg.DagsterEventType.STEP_FAILURE):
        event = entry.get_dagster_event()
        return event.step_key, extract_first_sentence(get_step_failure_reason(event))
    for entry in instance.all_logs(run_id, of_type=dg.DagsterEventType.RUN_FAILURE):
        return None, extract_first_sentence(entry.get_dagster_event().message or "")
    return None, ""


def get_step_failure_reason(failure: dg.DagsterEvent) -> str:
    """Why a step failed, in the words of whoever raised it, without the trace."""
    data = failure.step_failure_data
    if data.user_failure_data and data.user_failure_data.description:
        return data.user_failure_data.description
    error = data.error
    while error and error.cause:
        error = error.cause
    return error.message.strip() if error else ""


def extract_first_sentence(text: str) -> str:
    """Up to the first full stop or line's end; an error of ours without its class, another with its name alone."""
    line = next(iter(text.strip().splitlines()), "")
    line = re.sub(r"^tiktok_assets\.[\w.]+: ", "", line)
    line = re.sub(r"^(?:\w+\.)+(\w+): ", r"\1: ", line)
    return re.split(r"(?<=[.!?])\s", line, maxsplit=1)[0]
