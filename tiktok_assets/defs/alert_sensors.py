"""Define the sensors `deliver_alerts`, which drains the outbox, and `run_failure_alert`, which fills it."""

import re
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial

import dagster as dg
from dagster._core.storage.asset_check_execution_record import (
    COMPLETED_ASSET_CHECK_EXECUTION_RECORD_STATUSES,  # Dagster exports no name for it
)

from tiktok_assets.alerts import (
    ALERTS_FOLDER,
    GROUPING_DELAY,
    DeliveryReport,
    FailedCheck,
    FailedRun,
    build_check_failure_alert,
    deliver,
    enqueue,
    enqueue_run_failures,
    find_reported_runs,
    list_channels,
)
from tiktok_assets.defs.run_tags import REPEATED_PUBLICATION_TAG
from tiktok_assets.file_permissions import create_private_folder
from tiktok_assets.naming import add_name_prefix
from tiktok_assets.settings import Settings
from tiktok_assets.storage import State, StateError, utc_now

MAX_LOOKBACK = timedelta(days=1)
"""Failures that ended earlier are not reported, even if the cursor is lost or older."""

CURSOR_OVERLAP = timedelta(seconds=10)
"""Runs that end at the same time are not committed in order; the outbox rejects those it already has."""

MAX_RUNS_PER_TICK = 1000
MAX_TICK_SECONDS = 30

MAX_CHECK_HISTORY = 20
"""How many evaluations of a check are searched for the previous one."""

CHECKS_WITH_OWN_ALERT = frozenset({"creative_fatigue"})
"""What these checks find was reported when it was found."""

WILL_RETRY_TAG = "dagster/will_retry"
"""The tag Dagster sets on a failed run that it will retry."""

FINISHED_STATUSES = [dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE]


_PLANNED = {dg.DagsterEventType.ASSET_MATERIALIZATION_PLANNED, dg.DagsterEventType.ASSET_CHECK_EVALUATION_PLANNED}


@dataclass(frozen=True, slots=True)
class OwnRuns:
    """The jobs and assets by which runs of these definitions are told from those of the project around them.

    Attributes:
        jobs: the names of our jobs.
        keys: of our assets.
    """

    jobs: frozenset[str]
    keys: frozenset[dg.AssetKey]

    @classmethod
    def find(cls, definitions: dg.Definitions) -> "OwnRuns":
        """Return what definitions hold, of which other projects know nothing."""
        assets = [one for one in definitions.assets or () if isinstance(one, dg.AssetsDefinition)]
        return cls(
            frozenset(str(job.name) for job in definitions.jobs or ()),
            frozenset(key for one in assets for key in one.keys),
        )

    def contain(self, instance: dg.DagsterInstance, run: dg.DagsterRun) -> bool:
        """Return whether a run is of one of the jobs, or holds one of the assets or one of their checks."""
        if run.job_name in self.jobs:
            return True
        if run.asset_selection or run.asset_check_selection:
            checked = {check.asset_key for check in run.asset_check_selection or ()}
            return bool(self.keys & {*(run.asset_selection or ()), *checked})
        planned = instance.all_logs(run.run_id, of_type=_PLANNED)  # a job of the project without a selection
        return any(entry.get_dagster_event().asset_key in self.keys for entry in planned)


def deliver_due_alerts(settings: Settings, state: State) -> DeliveryReport:
    """Deliver the due alerts to the channels and the folder of the settings."""
    with suppress(OSError):  # the delivery reports what it cannot write
        create_private_folder(settings.state_dir)
    return deliver(state, list_channels(settings), settings.state_dir / ALERTS_FOLDER)


def build_deliver_alerts_sensor(settings: Settings) -> dg.SensorDefinition:
    """Build the sensor `deliver_alerts`, which delivers each row of the outbox once."""

    @dg.sensor(
        name=add_name_prefix(settings, "deliver_alerts"),
        minimum_interval_seconds=30,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Delivers the due alerts to the channels in TIKTOK_ALERT_URLS and writes each as a file.",
    )
    def _deliver_alerts(_: dg.SensorEvaluationContext) -> dg.SkipReason:
        try:
            with closing(State(settings.state_database_url)) as state:
                return dg.SkipReason(str(deliver_due_alerts(settings, state)))
        except StateError as error:
            return dg.SkipReason(f"No alert was delivered: {error}.")

    return _deliver_alerts


def build_run_failure_alert_sensor(settings: Settings, own: OwnRuns | None = None) -> dg.SensorDefinition:
    """Build the sensor `run_failure_alert`, which queues alerts for failed runs and newly failing checks.

    Args:
        settings: name the channels.
        own: which runs and checks are reported; None for all of the code location.
    """

    @dg.sensor(
        name=add_name_prefix(settings, "run_failure_alert"),
        minimum_interval_seconds=30,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Queues alerts for failed runs (one for all within a minute) and for newly failing checks.",
    )
    def _run_failure_alert(context: dg.SensorEvaluationContext) -> dg.SensorResult:
        now = utc_now()
        since = datetime.fromisoformat(context.cursor) if context.cursor else now - MAX_LOOKBACK
        try:
            with closing(State(settings.state_database_url)) as state:
                earliest = max(since - CURSOR_OVERLAP, now - MAX_LOOKBACK)
                titles, checked_until = queue_failure_alerts(
                    settings, state, context.instance, earliest, partial(_is_in_this_location, context), own=own
                )
        except StateError as error:
            return dg.SensorResult(skip_reason=f"Runs were not checked for failures: {error}.")
        cursor = max(checked_until, since).isoformat()
        reason = f"Queued alerts: {', '.join(titles)}." if titles else "No new failure."
        return dg.SensorResult(skip_reason=reason, cursor=cursor)

    return _run_failure_alert


def queue_and_deliver_failures(
    settings: Settings, state: State, instance: dg.DagsterInstance, since: datetime, own: OwnRuns | None = None
) -> str | None:
    """Queue alerts for failures and deliver them at once, for a process without a daemon.

    Args:
        settings: name the channels.
        state: holds the outbox.
        instance: holds the runs.
        since: timezone-aware; runs that ended before are not checked.
        own: which runs and checks are reported, in an instance that other projects use as well; None for all.

    Returns:
        One line that says what was delivered and what was not; None if there was nothing to deliver.
    """
    queue_failure_alerts(settings, state, instance, since, own=own, grouping_delay=timedelta(0))
    report = deliver_due_alerts(settings, state)
    return str(report) if report.had_work else None


def queue_failure_alerts(
    settings: Settings,
    state: State,
    instance: dg.DagsterInstance,
    since: datetime,
    is_included: Callable[[dg.DagsterRun], bool] = lambda _: True,
    *,
    own: OwnRuns | None = None,
    grouping_delay: timedelta = GROUPING_DELAY,
) -> tuple[list[str], datetime]:
    """Queue alerts for failed runs, all in one message, and for newly failing checks; each failure only once.

    Args:
        settings: name the channels.
        state: holds the outbox.
        instance: holds the runs.
        since: timezone-aware; runs that ended before are not checked.
        is_included: whether failures of a run are reported.
        own: which runs and checks are reported; None for all.
        grouping_delay: how long the message about runs waits for further failures.

    Returns:
        The titles of the new alerts, and the time until which runs were checked.
    """
    started, titles, checked_until = time.monotonic(), [], since
    failed: list[FailedRun] = []
    ended = instance.get_run_records(
        dg.RunsFilter(statuses=FINISHED_STATUSES, updated_after=since),
        limit=MAX_RUNS_PER_TICK,
        order_by="update_timestamp",
        ascending=True,
    )
    channels = list_channels(settings)
    with state.transaction() as connection:
        reported = find_reported_runs(connection, [record.dagster_run.run_id for record in ended])
    for record in ended:
        run = record.dagster_run
        if is_included(run) and (own is None or own.contain(instance, run)):
            if _is_final_failure(run) and run.run_id not in reported:
                failed.append(_describe_failed_run(instance, record))
            if failed_checks := tuple(_find_new_check_failures(instance, run.run_id, own)):
                alert = build_check_failure_alert(run.run_id, failed_checks, settings)
                with state.transaction() as connection:
                    if enqueue(connection, alert, channels, utc_now()):
                        titles.append(alert.title)
        checked_until = record.update_timestamp.replace(tzinfo=record.update_timestamp.tzinfo or UTC)
        if time.monotonic() - started > MAX_TICK_SECONDS:
            break
    with state.transaction() as connection:
        if run_alert := enqueue_run_failures(
            connection, failed, settings, channels, utc_now(), grouping_delay=grouping_delay
        ):
            titles.append(run_alert.title)
    return titles, checked_until


def _is_in_this_location(context: dg.SensorEvaluationContext, run: dg.DagsterRun) -> bool:
    """Return whether a run belongs to this code location, or to a process without one, such as `sync`."""
    run_origin, own_origin = run.remote_job_origin, context.code_location_origin
    if run_origin is None or own_origin is None:
        return True
    return bool(run_origin.repository_origin.code_location_origin.location_name == own_origin.location_name)


def _is_final_failure(run: dg.DagsterRun) -> bool:
    is_repeated = run.tags.get(WILL_RETRY_TAG) == "true" or REPEATED_PUBLICATION_TAG in run.tags
    return run.status == dg.DagsterRunStatus.FAILURE and not is_repeated


def _describe_failed_run(instance: dg.DagsterInstance, record: dg.RunRecord) -> FailedRun:
    run = record.dagster_run
    ended = datetime.fromtimestamp(record.end_time or record.update_timestamp.timestamp(), UTC)
    step, reason = find_failure_reason(instance, run.run_id)
    return FailedRun(run.run_id, run.job_name, reason, ended, step)


def _find_new_check_failures(
    instance: dg.DagsterInstance, run_id: str, own: OwnRuns | None
) -> Iterator[FailedCheck]:
    """Yield the checks that failed in a run and before that had passed, only warned, or never run."""
    for entry in instance.all_logs(run_id, of_type=dg.DagsterEventType.ASSET_CHECK_EVALUATION):
        evaluation = entry.get_dagster_event().asset_check_evaluation_data
        if evaluation.passed or evaluation.check_name in CHECKS_WITH_OWN_ALERT:
            continue
        if own is not None and evaluation.asset_key not in own.keys:
            continue
        history = instance.event_log_storage.get_asset_check_execution_history(
            evaluation.asset_check_key,
            limit=MAX_CHECK_HISTORY,
            status=COMPLETED_ASSET_CHECK_EXECUTION_RECORD_STATUSES,
        )
        position = next((number for number, item in enumerate(history) if item.run_id == run_id), None)
        before = [item for item in history[position + 1 :] if item.event] if position is not None else []
        if before and before[0].event:
            last = before[0].event.get_dagster_event().asset_check_evaluation_data
            is_worse = (
                evaluation.severity == dg.AssetCheckSeverity.ERROR and last.severity == dg.AssetCheckSeverity.WARN
            )
            if not last.passed and not is_worse:
                continue
        yield FailedCheck(
            asset=evaluation.asset_key.to_user_string(),
            check=evaluation.check_name,
            severity=evaluation.severity.value,
            reason=evaluation.description or "",
            failed_at=datetime.fromtimestamp(entry.timestamp, UTC),
        )


def find_failure_reason(instance: dg.DagsterInstance, run_id: str) -> tuple[str | None, str]:
    """Return the step that failed first, or None, and the first sentence of the reason, without traceback."""
    for entry in instance.all_logs(run_id, of_type=dg.DagsterEventType.STEP_FAILURE):
        event = entry.get_dagster_event()
        return event.step_key, extract_first_sentence(get_step_failure_reason(event))
    for entry in instance.all_logs(run_id, of_type=dg.DagsterEventType.RUN_FAILURE):
        return None, extract_first_sentence(entry.get_dagster_event().message or "")
    return None, ""


def get_step_failure_reason(failure: dg.DagsterEvent) -> str:
    """Return the message of the error that failed a step, without traceback."""
    data = failure.step_failure_data
    if data.user_failure_data and data.user_failure_data.description:
        return data.user_failure_data.description
    error = data.error
    while error and error.cause:
        error = error.cause
    return error.message.strip() if error else ""


def extract_first_sentence(text: str) -> str:
    """Return the text up to the first sentence or line end.

    The class of this project's own errors is removed; other errors keep their class name without its module.
    """
    line = next(iter(text.strip().splitlines()), "")
    line = re.sub(r"^tiktok_assets\.[\w.]+: ", "", line)
    line = re.sub(r"^(?:\w+\.)+(\w+): ", r"\1: ", line)
    return re.split(r"(?<=[.!?])\s", line, maxsplit=1)[0]
