"""Launch runs on Celery workers, and notice when a worker is gone.

Dagster's own launcher asks the result backend about a run. There a task stays "started" for ever if its whole
worker was killed, is "successful" if its worker lost the database in mid run, and is unknown if the backend lost
its content while the worker still executes it. This launcher asks the workers which runs they hold.
"""

import logging
import time
import warnings
from collections.abc import Mapping
from typing import Any

from dagster import DagsterRun, Field
from dagster._core.launcher import CheckRunHealthResult, LaunchRunContext, WorkerStatus  # Dagster exports no names
from dagster_celery.launcher import CeleryRunLauncher as DagsterCeleryRunLauncher
from kombu.exceptions import OperationalError
from typing_extensions import override

BROKER_OUTAGE_SECONDS = 60
"""How long a launch waits for a broker that went away, before the run fails."""

SILENT_SECONDS = 60
"""How long a run is taken for alive although no worker says that it holds it, unless `dagster.yaml` sets
`silent_seconds`: a worker that lost its broker reconnects after up to 30 seconds."""

ABANDONED_SECONDS = 5
"""The same if the worker that held the run answers without it: it was restarted, or the run has just ended."""

_REPLY_SECONDS = 3.0
"""How long the answers of the workers are waited for."""

_REMEMBERED_SECONDS = 5.0
"""How long the answers are used for other runs; Dagster asks about each run by itself."""

# Dagster's launcher registers its task anew with each launch.
warnings.filterwarnings("ignore", message="Task name '(execute|resume)_job' is already registered")

_LOG = logging.getLogger(__name__)


class CeleryRunLauncher(DagsterCeleryRunLauncher):
    """Dagster's launcher for Celery with a health check that asks the workers.

    With `run_monitoring` in `dagster.yaml`, a run that no worker holds any more is marked as failed, and with
    `run_retries` it is run again.

    Args:
        silent_seconds: how long a run is taken for alive although no worker says that it holds it.
        **config: the configuration of Dagster's launcher.
    """

    def __init__(self, silent_seconds: float = SILENT_SECONDS, **config: Any) -> None:  # noqa: ANN401 - as there
        super().__init__(**config)
        self._silent_seconds = silent_seconds
        self._answers: Mapping[str, str] = {}
        self._answered_at = float("-inf")
        self._holders: dict[str, str] = {}
        self._missed_since: dict[str, float] = {}

    @classmethod
    @override
    def config_type(cls) -> Any:
        """Return what `dagster.yaml` may set."""
        fields: Any = DagsterCeleryRunLauncher.config_type()
        return {**fields, "silent_seconds": Field(int, is_required=False, default_value=SILENT_SECONDS)}

    @override
    def launch_run(self, context: LaunchRunContext) -> None:
        """Launch a run; a broker that is away is waited for.

        Raises:
            kombu.exceptions.OperationalError: if the broker does not come back within `BROKER_OUTAGE_SECONDS`.
        """
        with self.celery.connection_for_write() as connection:
            connection.ensure_connection(
                errback=_warn, timeout=BROKER_OUTAGE_SECONDS, interval_start=1, interval_step=1, interval_max=5
            )
        super().launch_run(context)

    @override
    def check_run_worker_health(self, run: DagsterRun) -> CheckRunHealthResult:
        """Return whether a worker holds a started run; while the broker is away, it is taken for alive."""
        try:
            answers = self._ask_workers()
        except (OperationalError, OSError) as error:
            self._missed_since.clear()
            return CheckRunHealthResult(WorkerStatus.RUNNING, f"the broker is away: {type(error).__name__}")
        holder = next((worker for worker, held in answers.items() if run.run_id in held), None)
        if holder:
            self._holders[run.run_id] = holder
            self._missed_since.pop(run.run_id, None)
            return CheckRunHealthResult(WorkerStatus.RUNNING)
        seconds = time.monotonic() - self._missed_since.setdefault(run.run_id, time.monotonic())
        before = self._holders.get(run.run_id)
        if seconds < (ABANDONED_SECONDS if before in answers else self._silent_seconds):
            return CheckRunHealthResult(WorkerStatus.RUNNING, "no worker says that it holds the run")
        self._missed_since.pop(run.run_id)
        self._holders.pop(run.run_id, None)
        return CheckRunHealthResult(
            WorkerStatus.FAILED,
            f"no Celery worker has held the run for {seconds:.0f} seconds"
            + (f"; the last one was {before}" if before else ""),
        )

    def _ask_workers(self) -> Mapping[str, str]:
        """Return by worker the tasks that it executes, as text that contains the ids of their runs.

        Raises:
            kombu.exceptions.OperationalError: if the broker cannot be reached.
        """
        if time.monotonic() - self._answered_at > _REMEMBERED_SECONDS:
            with self.celery.connection_for_write() as connection:
                connection.ensure_connection(max_retries=1, timeout=_REPLY_SECONDS)
                inspect = self.celery.control.inspect(timeout=_REPLY_SECONDS, connection=connection)
                active = inspect.active() or {}
            self._answers = {worker: str(tasks) for worker, tasks in active.items()}
            self._answered_at = time.monotonic()
        return self._answers


def _warn(error: Exception, seconds: float) -> None:
    _LOG.warning(
        "the Celery broker cannot be reached (%s); the launch tries again in %.0f s", type(error).__name__, seconds
    )
