"""The scheduler of Dagster's daemon over one instance: real schedule ticks, and runs that a test ends."""

import logging
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import sqlalchemy as sa
from dagster._core.definitions.run_request import InstigatorType
from dagster._core.remote_origin import InProcessCodeLocationOrigin
from dagster._core.scheduler.instigation import InstigatorTick
from dagster._core.storage.runs.schema import RunsTable
from dagster._core.types.loadable_target_origin import LoadableTargetOrigin
from dagster._core.utils import make_new_run_id
from dagster._core.workspace.context import WorkspaceProcessContext
from dagster._core.workspace.load_target import WorkspaceLoadTarget
from dagster._scheduler.scheduler import launch_scheduled_runs

from tiktok_assets.defs.run_tags import UNFINISHED_STATUSES
from tiktok_assets.settings import Settings

ENDS = {
    "success": dg.DagsterEventType.RUN_SUCCESS,
    "failure": dg.DagsterEventType.RUN_FAILURE,
    "canceled": dg.DagsterEventType.RUN_CANCELED,
}
LOCATION = "tiktok_assets"
CODE = """
from tiktok_assets.definitions import build_definitions
from tiktok_assets.settings import load_settings

defs = build_definitions(load_settings(**{chosen!r}))
"""


@dataclass(frozen=True)
class LoadTarget(WorkspaceLoadTarget):
    """A workspace of one code location that is loaded into this process."""

    origin: InProcessCodeLocationOrigin

    def create_origins(self) -> list[InProcessCodeLocationOrigin]:
        """Return the origin of the code location."""
        return [self.origin]


def build_target(folder: Path, chosen: Mapping[str, str], number: int) -> LoadTarget:
    """Build the code location with these settings; each number is its own module, since Python caches modules."""
    file = folder / f"location_{number}.py"
    if not file.exists():
        file.write_text(CODE.format(chosen=dict(chosen)))
    origin = LoadableTargetOrigin(executable_path=sys.executable, python_file=str(file), attribute="defs")
    return LoadTarget(InProcessCodeLocationOrigin(origin, location_name=LOCATION))


def settings_arguments(settings: Settings, sandbox_token: str, **more: str) -> dict[str, str]:
    """Return the arguments with which `load_settings` returns these settings again."""
    secret = settings.app_secret.get_secret_value() if settings.app_secret else ""
    return {
        "base_url": settings.base_url,
        "access_token": sandbox_token,
        "app_id": str(settings.app_id),
        "app_secret": secret,
        "data_dir": settings.data_dir,
        "state_dir": str(settings.state_dir),
        "advertiser_ids": ",".join(settings.advertiser_ids),
        "start_date": str(settings.start_date),
        **more,
    }


@dataclass
class Daemon:
    """Dagster's scheduler over code locations that differ in their settings.

    Attributes:
        targets: the code location after each reload.
        opened: closes the locations that were loaded.
        chosen: the index of the loaded location.
    """

    instance: dg.DagsterInstance
    targets: list[LoadTarget]
    opened: ExitStack
    chosen: int = 0
    logger: logging.Logger = field(default_factory=lambda: logging.getLogger("daemon of the tests"))
    _loaded: dict[int, WorkspaceProcessContext] = field(default_factory=dict)

    @classmethod
    @contextmanager
    def open(cls, instance: dg.DagsterInstance, folder: Path, *chosen: Mapping[str, str]) -> Iterator["Daemon"]:
        """Open a daemon that can load each of these locations, whose modules are written into a folder."""
        with ExitStack() as stack:
            targets = [build_target(folder, one, number) for number, one in enumerate(chosen)]
            yield cls(instance, targets, stack)

    @property
    def location(self) -> WorkspaceProcessContext:
        """The chosen location, which is loaded on first use: loading takes longer than most ticks."""
        if self.chosen not in self._loaded:
            context = WorkspaceProcessContext(self.instance, self.targets[self.chosen])
            self._loaded[self.chosen] = self.opened.enter_context(context)
        return self._loaded[self.chosen]

    def schedule(self, now: datetime) -> list[InstigatorTick]:
        """Run the scheduler at an instant, whatever it missed before, and return all ticks, oldest first."""
        self.logger.disabled = True
        for error in launch_scheduled_runs(self.location, self.logger, now, {}):
            assert error is None, error
        return self.ticks()

    def ticks(self) -> list[InstigatorTick]:
        """Return all ticks of the schedule, oldest first."""
        states = self.instance.all_instigator_state(instigator_type=InstigatorType.SCHEDULE)
        assert len({one.selector_id for one in states}) <= 1
        return [
            tick
            for state in states[:1]
            for tick in reversed(self.instance.get_ticks(state.instigator_origin_id, state.selector_id))
        ]

    @property
    def unfinished(self) -> list[dg.DagsterRun]:
        """The queued and started runs, oldest first."""
        return list(self.instance.get_runs(dg.RunsFilter(statuses=UNFINISHED_STATUSES), ascending=True))

    def submit(self, request: dg.RunRequest) -> None:
        """Create a waiting run for a sensor's request unless a run has its key, as the daemon does."""
        key = {"dagster/run_key": str(request.run_key)}
        if not self.instance.get_runs(dg.RunsFilter(tags=key), limit=1):
            run = dg.DagsterRun(
                job_name=str(request.job_name),
                run_id=make_new_run_id(),
                tags={**request.tags, **key},
            )
            self.instance.add_run(run)

    def end_run(self, run: dg.DagsterRun, how: str = "success", took: timedelta = timedelta(0)) -> None:
        """End a run with `success`, `failure` or `canceled`, without writing an event, which would be slow."""
        event = dg.DagsterEvent(ENDS[how].value, run.job_name)
        self.instance.run_storage.handle_run_event(run.run_id, event, datetime.now(UTC) + took)


def age_runs(instance: dg.DagsterInstance, time: timedelta) -> None:
    """Make every run of the instance older by moving its last update into the past."""
    with instance.run_storage.connect() as connection:  # type: ignore[attr-defined]  # of the SQL storage
        for id_, changed in connection.execute(sa.select(RunsTable.c.id, RunsTable.c.update_timestamp)).all():
            row = sa.update(RunsTable).where(RunsTable.c.id == id_)
            connection.execute(row.values(update_timestamp=changed - time))
