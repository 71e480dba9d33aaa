"""Build and enqueue alerts about failed runs; runs that fail together share one message."""

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta

import sqlalchemy as sa

from tiktok_assets.alerts.dagster_urls import build_run_url, build_runs_url
from tiktok_assets.alerts.formatters import Link, Message, RichText, UntrustedText, format_footer, format_instant
from tiktok_assets.alerts.outbox import Alert, Channel, build_alert, enqueue_for_keys, remove_unsent_alerts
from tiktok_assets.settings import Settings
from tiktok_assets.storage import outbox, reported_runs

RUN_FAILURE_KIND = "run_failure"
MAX_REASON_LENGTH = 400
MAX_LISTED_JOBS, MAX_LISTED_REASONS, MAX_LISTED_RUNS = 5, 5, 5
GROUPING_DELAY = timedelta(seconds=100)
"""How long an alert waits after its first run failed: a minute, the interval between ticks, and a slow tick."""

_NO_REASON = "Dagster gives no reason."
_WHAT_TO_DO = (
    "Open one run of each reason and follow its advice. The next refresh reads what these runs left out;"
    " to have it sooner, re-execute them from failure in Dagster."
)
_FOOTER = "Each failed run is reported once."


@dataclass(frozen=True, slots=True)
class FailedRun:
    """A run of this code location that failed."""

    run_id: str
    job: str
    reason: str
    failed_at: datetime
    step: str | None = None


def single_run_alert_id(run_id: str) -> str:
    """Return the id of the alert about a single run."""
    return f"run-{run_id}"


def build_run_failure_alert(runs: Sequence[FailedRun], settings: Settings) -> Alert:
    """Build the alert about failed runs; several are counted by job and by reason.

    Args:
        runs: at least one; the first of them to fail gives the alert its id.
        settings: the address of Dagster's web app.
    """
    ordered = sorted(runs, key=lambda run: (run.failed_at, run.run_id))
    return (
        _build_single_alert(ordered[0], settings) if len(ordered) == 1 else _build_group_alert(ordered, settings)
    )


def _build_single_alert(run: FailedRun, settings: Settings) -> Alert:
    facts: list[tuple[str, RichText]] = [("Run", run.run_id)]
    facts += [("Step", UntrustedText(run.step))] if run.step else []
    alert_id = single_run_alert_id(run.run_id)
    message = Message(
        title=("A run of ", UntrustedText(run.job), " failed"),
        paragraphs=((UntrustedText(run.reason, MAX_REASON_LENGTH),) if run.reason else (_NO_REASON,),),
        facts=(*facts, ("Failed", format_instant(run.failed_at))),
        links=(Link("Open the run in Dagster", build_run_url(settings, run.run_id)),),
        footer=format_footer(alert_id, _FOOTER),
    )
    data = {"run_id": run.run_id, "job": run.job, "reason": run.reason, "failed_at": run.failed_at.isoformat()}
    return build_alert(alert_id, RUN_FAILURE_KIND, message, data)


def _build_group_alert(runs: Sequence[FailedRun], settings: Settings) -> Alert:
    alert_id = f"runs-{runs[0].run_id}"
    listed = _choose_listed_runs(runs)
    links = [Link(f"Open the run {run.run_id[:8]}", build_run_url(settings, run.run_id)) for run in listed]
    message = Message(
        title=f"{len(runs)} runs failed",
        paragraphs=(
            (f"{len(runs)} runs failed {_format_period(runs)}: ", *_format_jobs(runs), "."),
            _WHAT_TO_DO,
        ),
        facts=(*_format_reasons(runs), ("Runs", _format_run_ids(listed, len(runs)))),
        links=(*links, Link("All runs in Dagster", build_runs_url(settings))),
        footer=format_footer(alert_id, _FOOTER),
    )
    data = {"runs": [{**asdict(run), "failed_at": run.failed_at.isoformat()} for run in runs]}
    return build_alert(alert_id, RUN_FAILURE_KIND, message, data)


def _format_period(runs: Sequence[FailedRun]) -> str:
    first, last = (format_instant(run.failed_at) for run in (runs[0], runs[-1]))
    if first == last:
        return f"on {first}"
    same_day = runs[0].failed_at.astimezone(UTC).date() == runs[-1].failed_at.astimezone(UTC).date()
    return f"between {first} and {last.rpartition(', ')[2] if same_day else last}"


def _format_jobs(runs: Sequence[FailedRun]) -> Sequence[str | UntrustedText]:
    counts = Counter(run.job for run in runs).most_common()
    parts: list[str | UntrustedText] = []
    for job, count in counts[:MAX_LISTED_JOBS]:
        parts += [", " if parts else "", f"{count} of ", UntrustedText(job)]
    rest = len(counts) - MAX_LISTED_JOBS
    return [*parts, f", and those of {rest} other job{'s' * (rest > 1)}"] if rest > 0 else parts


def _format_reasons(runs: Sequence[FailedRun]) -> list[tuple[str, RichText]]:
    counts = Counter(run.reason for run in runs).most_common()
    rows: list[tuple[str, RichText]] = [
        (f"{count} run{'s' * (count > 1)}", UntrustedText(reason, MAX_REASON_LENGTH) if reason else _NO_REASON)
        for reason, count in counts[:MAX_LISTED_REASONS]
    ]
    rest = sum(count for _, count in counts[MAX_LISTED_REASONS:])
    if rest:
        other = len(counts) - MAX_LISTED_REASONS
        rows.append((f"{rest} run{'s' * (rest > 1)}", f"{other} other reason{'s' * (other > 1)}"))
    return rows


def _choose_listed_runs(runs: Sequence[FailedRun]) -> list[FailedRun]:
    """Choose the first run of each of the most common reasons, then the first of the others."""
    common = [reason for reason, _ in Counter(run.reason for run in runs).most_common()]
    firsts = [next(run for run in runs if run.reason == reason) for reason in common]
    others = [run for run in runs if run not in firsts]
    return [*firsts, *others][:MAX_LISTED_RUNS]


def _format_run_ids(listed: Sequence[FailedRun], count: int) -> str:
    ids = ", ".join(run.run_id for run in listed)
    return f"{ids} and {count - len(listed)} more" if count > len(listed) else ids


def enqueue_run_failures(
    connection: sa.Connection,
    runs: Sequence[FailedRun],
    settings: Settings,
    channels: Iterable[Channel],
    now: datetime,
    *,
    grouping_delay: timedelta = GROUPING_DELAY,
) -> Alert | None:
    """Enqueue one alert for new failed runs, merged with those whose alert was not sent yet.

    Everything is written in the caller's transaction: after a kill or a repeated call each run is in one alert.

    Args:
        connection: of `State.transaction()`; nothing is sent before its commit.
        runs: failed runs; those reported before are left out.
        settings: the address of Dagster's web app.
        channels: see `list_channels`.
        now: aware.
        grouping_delay: how long the alert waits for further runs.

    Returns:
        The alert, or None if every run was reported before.
    """
    reported = find_reported_runs(connection, [run.run_id for run in runs])
    new = list({run.run_id: run for run in runs if run.run_id not in reported}.values())
    if not new:
        return None
    unsent = remove_unsent_alerts(connection, sa.select(reported_runs.c.alert_id))
    earlier = sa.select(reported_runs).where(reported_runs.c.alert_id.in_(unsent))
    merged = [
        FailedRun(row.run_id, row.job, row.reason, row.failed_at, row.step) for row in connection.execute(earlier)
    ] + new
    alert = build_run_failure_alert(merged, settings)
    values = [
        {
            "run_id": run.run_id,
            "alert_id": alert.alert_id,
            "job": run.job,
            "step": run.step,
            "reason": run.reason,
            "failed_at": run.failed_at,
        }
        for run in new
    ]
    connection.execute(sa.insert(reported_runs), values)
    moved = sa.update(reported_runs).where(reported_runs.c.alert_id.in_(unsent))
    connection.execute(moved.values(alert_id=alert.alert_id))
    keys = {channel.key for channel in channels}.union(*unsent.values())
    first = min(run.failed_at for run in merged)
    due = min(max(now, first + grouping_delay), now + grouping_delay)
    enqueue_for_keys(connection, alert, keys, now, due)
    return alert


def find_reported_runs(connection: sa.Connection, run_ids: Collection[str]) -> set[str]:
    """Return those of the runs that were reported, also by earlier releases, which stored the alerts only."""
    recorded = sa.select(reported_runs.c.run_id).where(reported_runs.c.run_id.in_(run_ids))
    singles = {single_run_alert_id(run_id): run_id for run_id in run_ids}
    alerts = sa.select(outbox.c.alert_id).where(outbox.c.alert_id.in_(singles))
    return set(connection.scalars(recorded)) | {singles[alert_id] for alert_id in connection.scalars(alerts)}
