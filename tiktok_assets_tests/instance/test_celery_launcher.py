"""Tests of the launcher of runs on Celery workers: real workers, and a fake Redis over TCP."""

import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Thread
from uuid import uuid4

import dagster as dg
import pytest
from dagster._core.launcher import WorkerStatus
from fakeredis import TcpFakeServer

from tiktok_assets.instance.celery_launcher import CeleryRunLauncher
from tiktok_assets_tests.environment import clean_environment
from tiktok_assets_tests.processes import Service

ROOT = Path(__file__).parents[2]
PATIENCE_SECONDS = 60


class Workplace:
    """A broker, a launcher, and a worker process that can be killed."""

    def __init__(self, folder: Path) -> None:
        self.server = TcpFakeServer(("127.0.0.1", 0))
        self._thread = Thread(target=self.server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()
        self.url = f"redis://127.0.0.1:{self.server.server_address[1]}/0"
        self.launcher = CeleryRunLauncher(
            silent_seconds=8, default_queue="dagster", broker=self.url, backend=self.url
        )
        celery = Path(sys.executable).with_name("celery")
        app = ["-A", "tiktok_assets_tests.instance.celery_app", "worker", "-Q", "dagster"]
        self.worker = Service(
            "worker",
            [str(celery), *app, "-c", "1", "-n", "worker@test", "-l", "INFO"],
            folder,
            clean_environment({"CELERY_BROKER_URL": self.url, "PYTHONPATH": str(ROOT)}),
            lambda: self.worker.has_said(" ready."),
        )

    def close(self) -> None:
        """End the worker and the broker."""
        self.worker.kill()
        if self._thread.is_alive():
            self.stop_broker()

    def stop_broker(self) -> None:
        """End the broker, and let nothing listen on its port."""
        self.server.shutdown()
        self.server.server_close()
        self._thread.join()

    def start_run(self, seconds: float) -> dg.DagsterRun:
        """Send a task as a launch does, and return its run."""
        run = dg.DagsterRun("job", run_id=str(uuid4()))
        arguments = {"execute_job_args_packed": {"run_id": run.run_id, "seconds": str(seconds)}}
        self.launcher.celery.send_task("execute_job", kwargs=arguments, queue="dagster")
        return run

    def status(self, run: dg.DagsterRun) -> WorkerStatus:
        """Return what the launcher says of a run."""
        return self.launcher.check_run_worker_health(run).status


@pytest.fixture
def workplace(tmp_path: Path) -> Iterator[Workplace]:
    """Run a worker."""
    place = Workplace(tmp_path)
    try:
        place.worker.start()
        yield place
    finally:
        place.close()


def wait_until(holds: Callable[[], bool]) -> float:
    """Wait until a condition holds, and return the seconds that took."""
    began = time.monotonic()
    while not holds():
        assert time.monotonic() - began < PATIENCE_SECONDS
        time.sleep(0.2)
    return time.monotonic() - began


@pytest.mark.slow
def test_run_of_a_killed_worker_is_found_dead(workplace: Workplace) -> None:
    """A run that a worker holds is alive, also if the result backend lost its content; after a kill it is dead."""
    run = workplace.start_run(300)
    wait_until(lambda: run.run_id in str(workplace.launcher.celery.control.inspect().active()))
    with workplace.launcher.celery.connection_for_write() as connection:
        client = connection.default_channel.client
        client.delete(*[key for key in client.keys("*") if b"task-meta" in key])
    assert workplace.status(run) == WorkerStatus.RUNNING

    workplace.worker.kill()
    assert workplace.status(run) == WorkerStatus.RUNNING  # the worker could have lost its broker
    assert wait_until(lambda: workplace.status(run) == WorkerStatus.FAILED) < 30


@pytest.mark.slow
def test_run_of_a_restarted_worker_is_found_dead(workplace: Workplace) -> None:
    """A worker that answers without the run that it held has lost it."""
    run = workplace.start_run(300)
    wait_until(lambda: run.run_id in str(workplace.launcher.celery.control.inspect().active()))
    assert workplace.status(run) == WorkerStatus.RUNNING
    workplace.worker.kill()
    workplace.worker.start()
    wait_until(lambda: workplace.status(run) == WorkerStatus.FAILED)


@pytest.mark.slow
def test_run_is_alive_while_the_broker_is_away(workplace: Workplace) -> None:
    """Without a broker nobody knows, so that no run is failed and run twice."""
    run = workplace.start_run(300)
    wait_until(lambda: run.run_id in str(workplace.launcher.celery.control.inspect().active()))
    workplace.stop_broker()
    began = time.monotonic()
    while time.monotonic() - began < 12:
        assert workplace.status(run) == WorkerStatus.RUNNING
