"""Talk to the cluster's Dagster: by GraphQL through the web server, and with its storage."""

import re
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import dagster as dg
import httpx
import stamina

UNFINISHED = (
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
)
_PROCESS_OF_RUN = re.compile(r"Started process for run \(pid: (\d+)\)")
_REPOSITORY = "__repository__"

_LOCATIONS = (
    "{workspaceOrError{... on Workspace{locationEntries{name loadStatus locationOrLoadError{__typename}}}}}"
)
_SCHEDULE = """query($selector: ScheduleSelector!) {
    scheduleOrError(scheduleSelector: $selector) {... on Schedule {scheduleState {id}}}}"""
_STOP = "mutation($id: String) {stopRunningSchedule(id: $id) {__typename ... on PythonError {message}}}"
_START = """mutation($selector: ScheduleSelector!) {
    startSchedule(scheduleSelector: $selector) {__typename ... on PythonError {message}}}"""
_BACKFILL = """mutation($parameters: LaunchBackfillParams!) {
    launchPartitionBackfill(backfillParams: $parameters) {
        __typename ... on LaunchBackfillSuccess {backfillId} ... on PythonError {message}}}"""
_BACKFILL_STATUS = (
    "query($id: String!) {partitionBackfillOrError(backfillId: $id) {... on PartitionBackfill {status}}}"
)
_DAEMONS = "{instance{daemonHealth{allDaemonStatuses{daemonType required healthy lastHeartbeatTime}}}}"


class TimedOutError(Exception):
    """Something did not happen in time."""


def wait_until(
    what: str, holds: Callable[[], bool], timeout_seconds: float, interval_seconds: float = 0.5
) -> None:
    """Wait until a condition holds.

    Raises:
        TimedOutError: if it does not in time.
    """
    deadline = time.monotonic() + timeout_seconds
    while not holds():
        if time.monotonic() > deadline:
            raise TimedOutError(f"{what}: not within {timeout_seconds:.0f} s")
        time.sleep(interval_seconds)


@dataclass(frozen=True)
class DagsterClient:
    """A client of the web server and a reader of its storage.

    Attributes:
        url: of the web server.
        instance: the Dagster instance.
    """

    url: str
    instance: dg.DagsterInstance

    def query(self, text: str, **variables: Any) -> Any:  # noqa: ANN401 - JSON
        """Return the data of a GraphQL query, once the web server can answer it.

        Raises:
            RuntimeError: if the answer has errors.
        """
        sent = {"query": text, "variables": variables}
        # After an outage of Postgres the first queries find connections that are broken.
        for attempt in stamina.retry_context(on=httpx.HTTPError, attempts=20, wait_initial=0.5, timeout=120):
            with attempt:
                answer = httpx.post(f"{self.url}/graphql", json=sent, timeout=120).raise_for_status().json()
        if answer.get("errors"):
            raise RuntimeError(str(answer["errors"])[:2000])
        (data,) = answer["data"].values()
        return data

    def is_loaded(self, locations: Iterable[str]) -> bool:
        """Return whether these code locations are loaded without an error."""
        entries = self.query(_LOCATIONS)["locationEntries"]
        loaded = {
            one["name"]
            for one in entries
            if (one["locationOrLoadError"] or {}).get("__typename") == "RepositoryLocation"
        }
        return loaded >= set(locations)

    def switch_schedule(self, location: str, *, on: bool) -> None:
        """Start or stop the schedule of the morning refresh of a location."""
        selector = {
            "repositoryLocationName": location,
            "repositoryName": _REPOSITORY,
            "scheduleName": f"{location}_daily_refresh",
        }
        if on:
            answer = self.query(_START, selector=selector)
        else:
            answer = self.query(_STOP, id=self.query(_SCHEDULE, selector=selector)["scheduleState"]["id"])
        assert answer["__typename"] == "ScheduleStateResult", answer

    def launch_backfill(self, assets: Iterable[dg.AssetKey], keys: Sequence[str]) -> str:
        """Launch a backfill of assets for these partitions, and return its id."""
        parameters = {"partitionNames": keys, "assetSelection": [{"path": asset.path} for asset in assets]}
        answer = self.query(_BACKFILL, parameters=parameters)
        assert answer["__typename"] == "LaunchBackfillSuccess", answer
        return str(answer["backfillId"])

    def backfill_status(self, backfill_id: str) -> str:
        """Return the status of a backfill."""
        return str(self.query(_BACKFILL_STATUS, id=backfill_id)["status"])

    def heartbeat(self) -> float | None:
        """Return the oldest heartbeat of the daemons in epoch seconds; None if one is not healthy."""
        statuses = self.query(_DAEMONS)["daemonHealth"]["allDaemonStatuses"]
        required = [one for one in statuses if one["required"]]
        if not all(one["healthy"] for one in required):
            return None
        return min(float(one["lastHeartbeatTime"]) for one in required)

    def runs(self, **filters: Any) -> list[dg.RunRecord]:  # noqa: ANN401 - arguments of RunsFilter
        """Return the records of runs, newest first."""
        return list(self.instance.get_run_records(dg.RunsFilter(**filters)))

    def has_unfinished_runs(self) -> bool:
        """Return whether a run is queued or in progress, or one that failed will be run again."""
        return bool(self.runs(statuses=list(UNFINISHED))) or any(
            will_be_retried(record.dagster_run) for record in self.runs(statuses=[dg.DagsterRunStatus.FAILURE])
        )

    def process_of(self, run_id: str) -> int | None:
        """Return the id of the process that executes a run."""
        for entry in self.instance.all_logs(run_id, of_type=dg.DagsterEventType.ENGINE_EVENT):
            found = _PROCESS_OF_RUN.search(entry.dagster_event.message or "" if entry.dagster_event else "")
            if found:
                return int(found[1])
        return None

    def retry_of(self, run_id: str) -> dg.RunRecord | None:
        """Return the run that Dagster started in the place of a failed one."""
        return next(iter(self.runs(tags={"dagster/parent_run_id": run_id})), None)


def will_be_retried(run: dg.DagsterRun) -> bool:
    """Return whether Dagster will run a failed run again, and has not yet."""
    return run.tags.get("dagster/will_retry") == "true" and "dagster/auto_retry_run_id" not in run.tags


def count_statuses(records: Iterable[dg.RunRecord]) -> Mapping[str, int]:
    """Return the number of runs by status."""
    counts: dict[str, int] = {}
    for record in records:
        name = record.dagster_run.status.value
        counts[name] = counts.get(name, 0) + 1
    return counts


def parse_time(text: str) -> float:
    """Return an ISO instant in epoch seconds."""
    return datetime.fromisoformat(text).timestamp()
