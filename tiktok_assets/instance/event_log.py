"""Choose the event log of an instance: the fast one with tested Dagster releases, otherwise Dagster's own.

An instance opts in with `EventLog` of this module in its `dagster.yaml`; others use Dagster's own event log.
"""

import atexit
import logging
import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import dagster as dg
from dagster._core.storage.event_log import SqliteEventLogStorage
from dagster._serdes import ConfigurableClassData

BATCH_SIZE_VARIABLE = "DAGSTER_EVENT_BATCH_SIZE"
"""Dagster's variable for how many events it collects into a batch; if it is unset, it stores each one alone."""

EVENTS_PER_BATCH = 1000

FOLDER_VARIABLE = "TIKTOK_TEMPORARY_EVENT_LOG"
"""The folder of the event log of an instance without DAGSTER_HOME, for the processes of that instance."""

FIRST_TESTED, FIRST_UNTESTED = (1, 13, 27), (1, 14)
"""The Dagster releases the fast event log was tested with: from the first one, below the second."""

_logger = logging.getLogger(__name__)


class EventLog(SqliteEventLogStorage):
    """The class `dagster.yaml` names; it creates the chosen event log, by default in Dagster's own folder."""

    @classmethod
    def config_type(cls) -> dict[str, Any]:
        """Return the options in `dagster.yaml`: `base_dir`, by default Dagster's own folder in DAGSTER_HOME."""
        return {"base_dir": dg.Field(dg.StringSource, is_required=False)}

    @classmethod
    def from_config_value(  # type: ignore[override]  # Dagster's own class declares its own configuration here
        cls, inst_data: ConfigurableClassData | None, config_value: Mapping[str, str]
    ) -> SqliteEventLogStorage:
        """Create the event log from `dagster.yaml`; called in every process that opens the instance."""
        folder = config_value.get("base_dir") or _find_folder()
        chosen = choose_event_log(dg.__version__)
        if chosen is not SqliteEventLogStorage:
            os.environ.setdefault(BATCH_SIZE_VARIABLE, str(EVENTS_PER_BATCH))
        return chosen(folder, inst_data)


def _find_folder() -> str:
    """Return Dagster's own folder in DAGSTER_HOME, and without one a folder removed at the end.

    Without DAGSTER_HOME `dg check defs` and `dg dev` keep an instance in a temporary folder, which this class is
    not told. The processes they start inherit the variable, so that all of them have the same event log.
    """
    if home := os.environ.get("DAGSTER_HOME"):
        return str(Path(home, "history", "runs"))
    if FOLDER_VARIABLE not in os.environ:
        os.environ[FOLDER_VARIABLE] = tempfile.mkdtemp(prefix="tiktok_assets_event_log_")
        atexit.register(shutil.rmtree, os.environ[FOLDER_VARIABLE], ignore_errors=True)
    return os.environ[FOLDER_VARIABLE]


BatchingEventLog = EventLog
"""The name of `EventLog` in the `dagster.yaml` files of earlier versions."""


def choose_event_log(dagster_version: str) -> type[SqliteEventLogStorage]:
    """Return the fast event log if this Dagster release supports it, otherwise Dagster's own with a warning."""
    reason = f"it was tested with Dagster {_format(FIRST_TESTED)} to below {_format(FIRST_UNTESTED)} only"
    if FIRST_TESTED <= _parse(dagster_version) < FIRST_UNTESTED:
        try:
            from tiktok_assets.instance import fast_event_log  # noqa: PLC0415 - imports private names of Dagster
        except ImportError as error:
            reason = str(error)
        else:
            missing = [name for name in fast_event_log.PRIVATE_METHODS if not hasattr(SqliteEventLogStorage, name)]
            if not missing:
                return fast_event_log.FastEventLog
            reason = f"SqliteEventLogStorage has no {', '.join(missing)}"
    _logger.warning("Dagster %s: using its own event log instead of the fast one: %s.", dagster_version, reason)
    return SqliteEventLogStorage


def _parse(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".")[:3] if part.isdigit())


def _format(version: tuple[int, ...]) -> str:
    return ".".join(map(str, version))
