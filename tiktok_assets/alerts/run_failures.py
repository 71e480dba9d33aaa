"""Build and enqueue alerts about failed runs; runs that fail together share one message."""

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta

import sqlalchemy as sa

from tiktok_assets.alerts.check_failures import build_alert, format_footer, format_instant
from tiktok_assets.alerts.dagster_urls import build_run_url, build_runs_url
from tiktok_assets.alerts.message import Link, Message, RichText, UntrustedText
from tiktok_assets.alerts.outbox import Alert, Channel, enqueue_for_keys, remove_unsent_alerts
from tiktok_assets.settings import Settings
from tiktok_assets.storage.state import outbox, reported_runs

RUN_FAILURE_KIND = "run_failure"
MAX_REASON_LENGTH = 400
MAX_LISTED_JOBS, MAX_LISTED_REASONS, MAX_LISTED_RUNS = 5, 5, 5
_NO_REASON = "Dagster gives no reason."
_WHAT_TO_DO = (
    "Open one run of each reason and do what it says. The next refresh reads what these runs left out;"
    " to have it sooner, re-execute them from failure in Dagster."
)
_FOOTER = "A failed run is told of once."


@dataclass(frozen=True, slots=True)
class FailedRun:
    """A run of this code location that failed."""

    run_id: str
    job: str
    reason: str
    failed_at: datetime
    step: str | None = None


def single_run_alert_id(run_id: str) -> str:
    """Return the id of the message about one run."""
    return f"run-{run_id}"


def build_run_failure_alert(runs: Sequence[FailedRun], settings: Settings) -> Alert:
    """Return the message about failed runs; several are counted, by job and by reason.

    Args:
        runs: at least one; the first of them to fail gives the message its id.
        settings: for the links.
    """
    ordered = sorted(runs, key=lambda run: (run.failed_at, run.run_id))
    return (
        _build_single_alert(ordered[0], settings) if len(ordered) == 1 else _build_group_alert(ordered, settings)
    )


def _build_single_alert(run: FailedRun, settings: Settings) -> Alert:
    facts: list[tuple[str, RichText]] = [("Run", run.run_id)]
    facts += [("Step", UntrustedText(run.step))] if run.step else []
    alert_id = single_run_alert_id(run.run_id)
    letter = Message(
        title=("A run of ", UntrustedText(run.job), " failed"),
        sentences=((UntrustedText(run.reason, MAX_REASON_LENGTH),) if run.reason else (_NO_REASON,),),
        facts=(*facts, ("Failed", format_instant(run.failed_at))),
        links=(Link("Open the run in Dagster", build_run_url(settings, run.run_id)),),
        footer=format_footer(alert_id, _FOOTER),
    )
    data = {"run_id": run.run_id, "job": run.job, "reason": run.reason, "failed_at": run.failed_at.isoformat()}
    return build_alert(alert_id, RUN_FAILURE_KIND, letter, data)


def _build_group_alert(runs: Sequence[FailedRun], settings: Settings) -> Alert:
    alert_id = f"runs-{runs[0].run_id}"
    shown = _shown(runs)
    links = [Link(f"Open the run {run.run_id[:8]}", build_run_url(settings, run.run_id)) for run in shown]
    letter = Message(
        title=f"{len(runs)} runs failed",
        sentences=(
            (f"{len(runs)} runs failed {_when(runs)}: ", *_jobs(runs), "."),
            _WHAT_TO_DO,
        ),
        facts=(*_reasons(runs), ("Runs", _ids(shown, len(runs)))),
        links=(*links, Link("All runs in Dagster", build_runs_url(settings))),
        footer=format_footer(alert_id, _FOOTER),
    )
    data = {"runs": [{**asdict(run), "failed_at": run.failed_at.isoformat()} for run in runs]}
    return build_alert(alert_id, RUN_FAILURE_KIND, letter, data)


def _when(runs: Sequence[FailedRun]) -> str:
    first, last = (format_instant(run.failed_at) for run in (runs[0], runs[-1]))
    if first == last:
        return f"on {first}"
    same_day = runs[0].failed_at.astimezone(UTC).date() == runs[-1].failed_at.astimezone(UTC).date()
    return f"between {first} and {last.rpartition(', ')[2] if same_day else last}"


def _jobs(runs: Sequence[FailedRun]) -> Sequence[str | UntrustedText]:
    counts = Counter(run.job for run in runs).most_common()
    words: list[str | UntrustedText] = []
    for job, count in counts[:MAX_LISTED_JOBS]:
        words += [", " if words else "", f"{count} of ", UntrustedText(job)]
    rest = len(counts) - MAX_LISTED_JOBS
    return [*words, f", and those of {rest} other job{'s' * (rest > 1)}"] if rest > 0 else words


def _reasons(runs: Sequence[FailedRun]) -> list[tuple[str, RichText]]:
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


def _shown(runs: Sequence[FailedRun]) -> list[FailedRun]:
    """The first run of each of the commonest reasons, and then the first others."""
    common = [reason for reason, _ in Counter(run.reason for run in runs).most_common()]
    firsts = [next(run for run in runs if run.reason == reason) for reason in common]
    others = [run for run in runs if run not in firsts]
    return [*firsts, *others][:MAX_LISTED_RUNS]


def _ids(shown: Sequence[FailedRun], count: int) -> str:
    ids = ", ".join(run.run_id for run in shown)
    return f"{ids} and {count - len(shown)} more" if count > len(shown) else ids


GROUPING_DELAY = timedelta(seconds=100)
"""How long a message waits after its first run failed: a minute, the pause between two ticks, and a slow tick."""


def enqueue_run_failures(
    connection: sa.Connection,
    runs: Sequence[FailedRun],
    settings: Settings,
    destinations: Iterable[Channel],
    now: datetime,
    *,
    gathering: timedelta = GROUPING_DELAY,
) -> Alert | None:
    """Put the runs nobody was told of into one message, together with those whose message was not sent yet.

    All of it is written in the caller's transaction: whatever is killed or read again, a run is in one message.

    Args:
        connection: of `State.transaction()`; nothing is told before its commit.
        runs: failed runs; those told of before are left out.
        settings: for the links.
        destinations: to whom, see `destinations_of`.
        now: aware.
        gathering: how long the message waits for further runs.

    Returns:
        The message, or None if every run was told of before.
    """
    told = find_reported_runs(connection, [run.run_id for run in runs])
    new = list({run.run_id: run for run in runs if run.run_id not in told}.values())
    if not new:
        return None
    unsent = remove_unsent_alerts(connection, sa.select(reported_runs.c.alert_id))
    earlier = sa.select(reported_runs).where(reported_runs.c.alert_id.in_(unsent))
    together = [
        FailedRun(row.run_id, row.job, row.reason, row.failed_at, row.step) for row in connection.execute(earlier)
    ] + new
    alert = build_run_failure_alert(together, settings)
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
    keys = {destination.key for destination in destinations}.union(*unsent.values())
    first = min(run.failed_at for run in together)
    enqueue_for_keys(connection, alert, keys, now, min(max(now, first + gathering), now + gathering))
    return alert


def find_reported_runs(connection: sa.Connection, run_ids: Collection[str]) -> set[str]:
    """Return those of the runs that were told of, by an earlier release too, which kept their alerts alone."""
    told = sa.select(reported_runs.c.run_id).where(reported_runs.c.run_id.in_(run_ids))
    singles = {single_run_alert_id(run_id): run_id for run_id in run_ids}
    before = sa.select(outbox.c.alert_id).where(outbox.c.alert_id.in_(singles))
    return set(connection.scalars(told)) | {singles[alert_id] for alert_id in connection.scalars(before)}
