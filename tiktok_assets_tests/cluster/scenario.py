"""The scenario of the cluster: a backfill with outages, a morning, and a comparison with the truth."""

import os
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import dagster as dg

from tiktok_assets.defs.names import Names
from tiktok_assets.settings import Settings, load_settings
from tiktok_assets.spec import RESTATEMENTS
from tiktok_assets_tests.cluster.dagster_client import (
    DagsterClient,
    count_statuses,
    wait_until,
    will_be_retried,
)
from tiktok_assets_tests.cluster.outages import (
    find_overlapping_runs,
    kill_daemon,
    kill_postgres,
    kill_redis,
    kill_worker,
)
from tiktok_assets_tests.cluster.services import LOCATIONS, Cluster, Size
from tiktok_assets_tests.cluster.truth import (
    Comparison,
    compare_with_truth,
    list_compared_reports,
    list_days,
    read_traffic,
)

PATIENCE_SECONDS = 3600
SAFETY_DAYS = 2
"""Today and yesterday are still changing somewhere."""

Say = Callable[[str], None]


def run_scenario(folder: Path, size: Size, *, with_outages: bool, say: Say) -> list[str]:
    """Run everything, say what happens, and return what is not as it has to be.

    Raises:
        MissingProgramError: if a program is not installed.
        ServiceError: if a service does not start.
    """
    began = time.monotonic()
    with Cluster(folder, size) as cluster:
        os.environ |= {**cluster.environment, **cluster.home("check")}
        settings = {name: _settings(cluster, name) for name in LOCATIONS}
        with dg.DagsterInstance.get() as instance:
            client = DagsterClient(cluster.webserver_url, instance)
            wait_until("the code locations are loaded", lambda: client.is_loaded(LOCATIONS), 120)
            for name in LOCATIONS:
                client.switch_schedule(name, on=False)
            cluster.start("daemon")
            say(f"{len(cluster.services)} services started in {time.monotonic() - began:.0f} s")
            scenario = _Scenario(cluster, client, settings, say)
            scenario.wait_for_accounts()
            scenario.backfill(with_outages=with_outages)
            scenario.refresh()
            return scenario.verify()


def _settings(cluster: Cluster, name: str) -> Settings:
    """Return the settings of a code location, as `deploy/agency.py` builds them."""
    return load_settings(
        key_prefix=name,
        advertiser_ids=",".join(cluster.advertiser_ids[name]),
        data_dir=f"{cluster.environment['TIKTOK_DATA_DIR']}/{name}",
    )


class _Scenario:
    def __init__(self, cluster: Cluster, client: DagsterClient, settings: dict[str, Settings], say: Say) -> None:
        self._cluster, self._client, self._settings, self._say = cluster, client, settings, say
        self._days = list_days(cluster.first_day, cluster.size.days)
        self._backfills: list[str] = []
        self._interrupted: set[str] = set()

    def wait_for_accounts(self) -> None:
        """Wait until the sensors have added the accounts as partitions."""

        def are_added() -> bool:
            return all(
                set(self._client.instance.get_dynamic_partitions(Names(one).partitions_name))
                >= set(one.advertiser_ids)
                for one in self._settings.values()
            )

        wait_until("the accounts are added", are_added, 180)

    def backfill(self, *, with_outages: bool) -> None:
        """Read all days of all accounts, and kill services meanwhile."""
        began, before = time.time(), read_traffic(self._cluster.sandbox_url)
        self._launch_backfills()
        if with_outages:
            for kill in (kill_worker, kill_daemon, kill_redis):
                self._say(str(kill(self._cluster, self._client, self._ensure_work)))
            self._kill_postgres()
        self._wait_for_runs()
        seconds = time.time() - began
        statuses = count_statuses(self._client.runs())
        traffic = read_traffic(self._cluster.sandbox_url)
        requests = len(traffic.times) - len(before.times)
        size = self._cluster.size
        self._say(
            f"backfill of {size.accounts} accounts x {size.days} days, {len(self._backfills)} launched:"
            f" {seconds:.0f} s, {requests} requests (the rate alone: {requests / size.per_second:.0f} s),"
            f" {traffic.refused} refused, runs {dict(statuses)}"
        )

    def _kill_postgres(self) -> None:
        """Kill Postgres, and launch the backfills again, as a person would: what it interrupts has failed."""
        self._wait_for_runs()
        before, launched = self._list_failed(), len(self._backfills)
        self._say(str(kill_postgres(self._cluster, self._client, self._ensure_work)))
        self._wait_for_runs()
        self._interrupted = self._list_failed() - before
        del self._backfills[launched:]
        self._launch_backfills()

    def _list_failed(self) -> set[str]:
        return {one.dagster_run.run_id for one in self._client.runs(statuses=[dg.DagsterRunStatus.FAILURE])}

    def refresh(self) -> None:
        """Let the schedule of each location start one refresh, and wait for its end."""
        began, before = time.time(), read_traffic(self._cluster.sandbox_url)
        for name in LOCATIONS:
            self._client.switch_schedule(name, on=True)
        wait_until("the refresh starts", lambda: len(self._refreshes("refresh_accounts")) == len(LOCATIONS), 180)
        wait_until("the checks start", self._stop_schedules_until_checked, 1800, 10)
        self._wait_for_runs()
        traffic = read_traffic(self._cluster.sandbox_url)
        requests = len(traffic.times) - len(before.times)
        created = min(one.create_timestamp.timestamp() for one in self._refreshes("refresh_accounts").values())
        ended = max(one.end_time or 0 for one in self._refreshes("check_tables").values())
        self._say(
            f"morning: {ended - created:.0f} s from the first run to the last check, {requests} requests,"
            f" {traffic.refused - before.refused} refused; {time.time() - began:.0f} s with all derived tables"
        )

    def _stop_schedules_until_checked(self) -> bool:
        """Stop the schedules, and return whether the checks, the last stage of a refresh, have begun.

        The daemon can overwrite the new state of a schedule with that of a tick which began before.
        """
        for name in LOCATIONS:
            self._client.switch_schedule(name, on=False)
        return len(self._refreshes("check_tables")) >= len(LOCATIONS)

    def verify(self) -> list[str]:
        """Compare everything with the truth, and return what differs."""
        result = Comparison()
        for settings in self._settings.values():
            compare_with_truth(self._cluster.sandbox_url, settings, self._days[:-SAFETY_DAYS], result)
        traffic = read_traffic(self._cluster.sandbox_url)
        records = self._client.runs()
        lost = [
            one.dagster_run
            for one in records
            if one.dagster_run.status != dg.DagsterRunStatus.SUCCESS
            and one.dagster_run.run_id not in self._interrupted
            and not self._client.retry_of(one.dagster_run.run_id)
        ]
        limit = self._cluster.size.per_second
        self._say(
            f"rows: {result.equal} as the truth in {result.partitions} partitions, {len(result.wrong)} not;"
            f" {len(traffic.times)} requests, {traffic.refused} refused, {traffic.failed} with another error,"
            f" busiest second {traffic.busiest_second} of {limit}; runs {dict(count_statuses(records))}"
        )
        return [
            *result.wrong[:20],
            *([] if result.equal else ["nothing was compared"]),
            *([f"{traffic.refused} requests were refused"] if traffic.refused else []),
            *([f"{traffic.busiest_second} requests in a second"] if traffic.busiest_second > limit else []),
            *[f"run {run.run_id} of {run.job_name} is {run.status.value} and was not run again" for run in lost],
            *[
                f"run {one} began before the run that it replaces had ended"
                for one in find_overlapping_runs(records)
            ],
            *[
                f"backfill {one} is {status}"
                for one in self._backfills
                if (status := self._client.backfill_status(one)) != "COMPLETED_SUCCESS"
            ],
        ]

    def _launch_backfills(self) -> None:
        for settings in self._settings.values():
            names = Names(settings)
            keys = [f"{one}|{day}" for one in settings.advertiser_ids for day in self._days]
            # Dagster ends a backfill as failed if it holds tables that an account does not have, such as Smart+.
            tables = [one.table for one in list_compared_reports(settings)]
            assets = [names.key(table) for table in (*tables, RESTATEMENTS)]
            self._backfills.append(self._client.launch_backfill(assets, keys))

    def _ensure_work(self) -> None:
        """Launch the backfills once more if they have ended, so that there is something to interrupt."""
        if self._are_backfills_done():
            self._launch_backfills()

    def _are_backfills_done(self) -> bool:
        return all(self._client.backfill_status(one).startswith("COMPLETED") for one in self._backfills)

    def _wait_for_runs(self) -> None:
        """Wait until the backfills have ended and no run has been in progress for longer than any sensor waits."""
        quiet_since = time.monotonic()

        def is_quiet() -> bool:
            nonlocal quiet_since
            with suppress(ConnectionError):
                if self._client.has_unfinished_runs() or not self._are_backfills_done():
                    quiet_since = time.monotonic()
            return time.monotonic() - quiet_since > 40

        wait_until("all runs end", is_quiet, PATIENCE_SECONDS, 2)

    def _refreshes(self, job: str) -> dict[str, dg.RunRecord]:
        """Return the first run of a job of a refresh by location."""
        jobs = {f"{name}_{job}": name for name in LOCATIONS}
        records = [one for name in jobs for one in self._client.runs(job_name=name)]
        return {jobs[one.dagster_run.job_name]: one for one in records if not will_be_retried(one.dagster_run)}
