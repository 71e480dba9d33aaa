"""The words of the alerts about failed runs: one run, or several in one message."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime

from tiktok_assets.scaling.alerts import alert_of, footer_of, instant_in_words
from tiktok_assets.scaling.letters import Letter, Link, Name, Words
from tiktok_assets.scaling.links import run_link, runs_link
from tiktok_assets.scaling.outbox import Alert
from tiktok_assets.settings import Settings

RUN_FAILURE = "run_failure"
LONGEST_REASON = 400
MOST_JOBS, MOST_REASONS, MOST_RUNS = 5, 5, 5
_NO_REASON = "Dagster gives no reason."
_WHAT_TO_DO = (
    "Open one run of each reason and do what it says. The next refresh reads what these runs left out;"
    " to have it sooner, re-execute them from failure in Dagster."
)
_RULE = "A failed run is told of once."


@dataclass(frozen=True, slots=True)
class FailedRun:
    """A run of this code location that failed."""

    run_id: str
    job: str
    reason: str
    failed_at: datetime
    step: str | None = None


def single_alert_id(run_id: str) -> str:
    """Return the id of the message about one run."""
    return f"run-{run_id}"


def run_failure_alert(runs: Sequence[FailedRun], settings: Settings) -> Alert:
    """Return the message about failed runs; several are counted, by job and by reason.

    Args:
        runs: at least one; the first of them to fail gives the message its id.
        settings: for the links.
    """
    ordered = sorted(runs, key=lambda run: (run.failed_at, run.run_id))
    return _one(ordered[0], settings) if len(ordered) == 1 else _several(ordered, settings)


def _one(run: FailedRun, settings: Settings) -> Alert:
    facts: list[tuple[str, Words]] = [("Run", run.run_id)]
    facts += [("Step", Name(run.step))] if run.step else []
    alert_id = single_alert_id(run.run_id)
    letter = Letter(
        title=("A run of ", Name(run.job), " failed"),
        sentences=((Name(run.reason, LONGEST_REASON),) if run.reason else (_NO_REASON,),),
        facts=(*facts, ("Failed", instant_in_words(run.failed_at))),
        links=(Link("Open the run in Dagster", run_link(settings, run.run_id)),),
        footer=footer_of(alert_id, _RULE),
    )
    data = {"run_id": run.run_id, "job": run.job, "reason": run.reason, "failed_at": run.failed_at.isoformat()}
    return alert_of(alert_id, RUN_FAILURE, letter, data)


def _several(runs: Sequence[FailedRun], settings: Settings) -> Alert:
    alert_id = f"runs-{runs[0].run_id}"
    shown = _shown(runs)
    links = [Link(f"Open the run {run.run_id[:8]}", run_link(settings, run.run_id)) for run in shown]
    letter = Letter(
        title=f"{len(runs)} runs failed",
        sentences=(
            (f"{len(runs)} runs failed {_when(runs)}: ", *_jobs(runs), "."),
            _WHAT_TO_DO,
        ),
        facts=(*_reasons(runs), ("Runs", _ids(shown, len(runs)))),
        links=(*links, Link("All runs in Dagster", runs_link(settings))),
        footer=footer_of(alert_id, _RULE),
    )
    data = {"runs": [{**asdict(run), "failed_at": run.failed_at.isoformat()} for run in runs]}
    return alert_of(alert_id, RUN_FAILURE, letter, data)


def _when(runs: Sequence[FailedRun]) -> str:
    first, last = (instant_in_words(run.failed_at) for run in (runs[0], runs[-1]))
    if first == last:
        return f"on {first}"
    same_day = runs[0].failed_at.astimezone(UTC).date() == runs[-1].failed_at.astimezone(UTC).date()
    return f"between {first} and {last.rpartition(', ')[2] if same_day else last}"


def _jobs(runs: Sequence[FailedRun]) -> Sequence[str | Name]:
    counts = Counter(run.job for run in runs).most_common()
    words: list[str | Name] = []
    for job, count in counts[:MOST_JOBS]:
        words += [", " if words else "", f"{count} of ", Name(job)]
    rest = len(counts) - MOST_JOBS
    return [*words, f", and those of {rest} other job{'s' * (rest > 1)}"] if rest > 0 else words


def _reasons(runs: Sequence[FailedRun]) -> list[tuple[str, Words]]:
    counts = Counter(run.reason for run in runs).most_common()
    rows: list[tuple[str, Words]] = [
        (f"{count} run{'s' * (count > 1)}", Name(reason, LONGEST_REASON) if reason else _NO_REASON)
        for reason, count in counts[:MOST_REASONS]
    ]
    rest = sum(count for _, count in counts[MOST_REASONS:])
    if rest:
        other = len(counts) - MOST_REASONS
        rows.append((f"{rest} run{'s' * (rest > 1)}", f"{other} other reason{'s' * (other > 1)}"))
    return rows


def _shown(runs: Sequence[FailedRun]) -> list[FailedRun]:
    """The first run of each of the commonest reasons, and then the first others."""
    common = [reason for reason, _ in Counter(run.reason for run in runs).most_common()]
    firsts = [next(run for run in runs if run.reason == reason) for reason in common]
    others = [run for run in runs if run not in firsts]
    return [*firsts, *others][:MOST_RUNS]


def _ids(shown: Sequence[FailedRun], count: int) -> str:
    ids = ", ".join(run.run_id for run in shown)
    return f"{ids} and {count - len(shown)} more" if count > len(shown) else ids
