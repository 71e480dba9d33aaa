"""Kill a worker, the daemon, Redis and Postgres in turn, start each again, and measure the recovery."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import dagster as dg

from tiktok_assets_tests.cluster.dagster_client import DagsterClient, wait_until
from tiktok_assets_tests.cluster.services import WORKERS, Cluster
from tiktok_assets_tests.cluster.truth import read_traffic

PATIENCE_SECONDS = 600
DOWN_SECONDS = 15
"""How long the daemon and Redis are away."""


@dataclass(frozen=True, slots=True)
class Outage:
    """One kill and what came of it.

    Attributes:
        what: which service was killed, and while what happened.
        figures: seconds by what they measure.
        requests: how many requests the sandbox received while the service was away.
        failed: how many runs failed until it had recovered.
    """

    what: str
    figures: dict[str, float]
    requests: int
    failed: int

    def __str__(self) -> str:
        seconds = "; ".join(f"{name} {value:.0f} s" for name, value in self.figures.items())
        return f"{self.what}: {seconds}; {self.requests} requests meanwhile, {self.failed} runs failed"


def kill_worker(cluster: Cluster, client: DagsterClient, ensure_work: Callable[[], None]) -> Outage:
    """Kill the worker that holds most runs, and wait until each of them has begun again elsewhere."""
    held: list[dg.RunRecord] = []
    failed = _count_failed(client)
    name = WORKERS[0]

    def finds_runs() -> bool:
        nonlocal held, name
        ensure_work()
        by_worker = {worker: _runs_of(cluster, client, worker) for worker in WORKERS}
        name, held = max(by_worker.items(), key=lambda one: len(one[1]))
        return bool(held)

    wait_until("a run starts", finds_runs, PATIENCE_SECONDS)
    before, killed = len(read_traffic(cluster.sandbox_url).times), time.time()
    cluster.services[name].kill()
    # A run that ended before the kill has lost nothing.
    held = [one for one in held if _reload(client, one).dagster_run.status == dg.DagsterRunStatus.STARTED]
    time.sleep(DOWN_SECONDS)
    requests = len(read_traffic(cluster.sandbox_url).times) - before
    started = time.time()
    cluster.start(name)
    ready = time.time() - started
    wait_until(
        f"the {len(held)} runs of {name} are run again", lambda: all(_is_retried(client, one) for one in held), 300
    )
    failures = [(_reload(client, one).end_time or killed) - killed for one in held]
    retries = [client.retry_of(one.dagster_run.run_id) for one in held]
    again = [(one.start_time or killed) - killed for one in retries if one]
    return Outage(
        f"{name} killed with {len(held)} of its runs in progress, started again after {DOWN_SECONDS} s",
        {
            "ready after": ready,
            "the last of its runs found dead": max(failures, default=0.0),
            "and begun again": max(again, default=0.0),
        },
        requests,
        _count_failed(client) - failed,
    )


def kill_daemon(cluster: Cluster, client: DagsterClient, ensure_work: Callable[[], None]) -> Outage:
    """Kill the daemon, and wait until it has launched or looked at everything again."""
    wait_until("a run starts", lambda: _started(client, ensure_work), PATIENCE_SECONDS)
    before, failed = len(read_traffic(cluster.sandbox_url).times), _count_failed(client)
    cluster.services["daemon"].kill()
    time.sleep(DOWN_SECONDS)
    requests = len(read_traffic(cluster.sandbox_url).times) - before
    started = time.time()
    cluster.start("daemon")
    wait_until("the daemon is healthy", lambda: (client.heartbeat() or 0) > started, 300)
    return Outage(
        f"daemon killed with runs in progress, started again after {DOWN_SECONDS} s",
        {"all its parts at work after": time.time() - started},
        requests,
        _count_failed(client) - failed,
    )


def kill_redis(cluster: Cluster, client: DagsterClient, ensure_work: Callable[[], None]) -> Outage:
    """Kill Redis, which is broker and request budget, and wait until the requests go on."""
    seen, failed = len(read_traffic(cluster.sandbox_url).times), _count_failed(client)

    def sends() -> bool:
        ensure_work()
        return len(read_traffic(cluster.sandbox_url).times) > seen

    wait_until("a request is sent", sends, PATIENCE_SECONDS)
    cluster.services["redis"].kill()
    time.sleep(1)  # what was permitted before is sent
    before = len(read_traffic(cluster.sandbox_url).times)
    time.sleep(DOWN_SECONDS - 1)
    during = len(read_traffic(cluster.sandbox_url).times)
    started = time.time()
    cluster.start("redis")

    def goes_on() -> bool:
        ensure_work()
        return len(read_traffic(cluster.sandbox_url).times) > during

    wait_until("a request is sent again", goes_on, 300)
    return Outage(
        f"Redis killed with runs in progress, started again after {DOWN_SECONDS} s",
        {"the next request after": time.time() - started},
        during - before,
        _count_failed(client) - failed,
    )


def kill_postgres(cluster: Cluster, client: DagsterClient, ensure_work: Callable[[], None]) -> Outage:
    """Kill Postgres, which holds Dagster's storage and our state, and wait until a run ends well again."""
    wait_until("a run starts", lambda: _started(client, ensure_work), PATIENCE_SECONDS)
    before, failed = len(read_traffic(cluster.sandbox_url).times), _count_failed(client)
    cluster.services["postgres"].kill()
    time.sleep(DOWN_SECONDS)
    requests = len(read_traffic(cluster.sandbox_url).times) - before
    started = time.time()
    cluster.start("postgres")
    for name in ("webserver", "daemon"):  # as a supervisor would
        if not cluster.services[name].is_running:
            cluster.start(name)

    def succeeds() -> bool:
        ensure_work()
        done = client.runs(statuses=[dg.DagsterRunStatus.SUCCESS])
        return any((one.end_time or 0) > started for one in done)

    wait_until("a run succeeds", succeeds, PATIENCE_SECONDS)
    succeeded = time.time() - started
    wait_until("the daemon is healthy", lambda: (client.heartbeat() or 0) > started, 300)
    return Outage(
        f"Postgres killed with runs in progress, started again after {DOWN_SECONDS} s",
        {"the next run succeeded after": succeeded},
        requests,
        _count_failed(client) - failed,
    )


def _started(client: DagsterClient, ensure_work: Callable[[], None]) -> bool:
    """Return whether a run of a backfill is in progress."""
    ensure_work()
    started = client.runs(statuses=[dg.DagsterRunStatus.STARTED])
    return any("dagster/backfill" in one.dagster_run.tags for one in started)


def _runs_of(cluster: Cluster, client: DagsterClient, worker: str) -> list[dg.RunRecord]:
    """Return the started runs whose process belongs to a worker."""
    processes = {
        one.dagster_run.run_id: client.process_of(one.dagster_run.run_id)
        for one in client.runs(statuses=[dg.DagsterRunStatus.STARTED])
    }
    service = cluster.services[worker]
    held = [run_id for run_id, process in processes.items() if process and service.holds(process)]
    return client.runs(run_ids=held) if held else []


def _count_failed(client: DagsterClient) -> int:
    return len(client.runs(statuses=[dg.DagsterRunStatus.FAILURE]))


def _reload(client: DagsterClient, record: dg.RunRecord) -> dg.RunRecord:
    (found,) = client.runs(run_ids=[record.dagster_run.run_id])
    return found


def _is_retried(client: DagsterClient, record: dg.RunRecord) -> bool:
    retry = client.retry_of(record.dagster_run.run_id)
    return bool(retry and retry.start_time)


def find_overlapping_runs(records: Sequence[dg.RunRecord]) -> list[str]:
    """Return the runs that began before the failed run they replace had ended."""
    ends = {one.dagster_run.run_id: one.end_time for one in records}
    return [
        one.dagster_run.run_id
        for one in records
        if one.dagster_run.parent_run_id and (one.start_time or 0) < (ends.get(one.dagster_run.parent_run_id) or 0)
    ]
