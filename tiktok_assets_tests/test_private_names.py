"""Every private name of a library this project uses exists, and docs/decisions.md lists it.

A name counts as private when a part of its dotted path begins with an underscore, or when the library does not
document it. An upgrade may remove one without notice; the test then names what breaks and where.
"""

import ast
import importlib
from importlib.metadata import version
from pathlib import Path

import httpx
import pytest

import tiktok_assets

PRODUCT = Path(str(tiktok_assets.__file__)).parent
DECISIONS = (PRODUCT.parent / "docs" / "decisions.md").read_text(encoding="utf-8")

_NO_DEV = "`tiktok-assets dev` does not start"
_NO_CELERY = "runs are not launched on Celery workers"
_SLOW = "Dagster's own event log is used, and is slower"

IMPORTED = {
    "dagster._core.definitions.unresolved_asset_job_definition.UnresolvedAssetJobDefinition": (
        (
            "definitions.py, defs/jobs.py, defs/checks.py, defs/refresh_sensors.py, defs/destination_assets.py,"
            " defs/destination_sensors.py"
        ),
        "the annotations of functions that return or take jobs need another type",
    ),
    "dagster._core.storage.asset_check_execution_record.COMPLETED_ASSET_CHECK_EXECUTION_RECORD_STATUSES": (
        "defs/alert_sensors.py",
        "the sensor run_failure_alert cannot see which checks failed",
    ),
    "dagster._core.launcher.CheckRunHealthResult": ("instance/celery_launcher.py", _NO_CELERY),
    "dagster._core.launcher.LaunchRunContext": ("instance/celery_launcher.py", _NO_CELERY),
    "dagster._core.launcher.WorkerStatus": ("instance/celery_launcher.py", _NO_CELERY),
    "dagster._utils.schedules.cron_string_iterator": (
        "defs/schedules.py",
        "a cron shorter than a refresh is not reported",
    ),
    "dagster._cli.proxy_server_manager.ProxyServerManager": ("webserver/server.py", _NO_DEV),
    "dagster._core.workspace.context.WorkspaceProcessContext": ("webserver/server.py", _NO_DEV),
    "dagster._core.workspace.load_target.WorkspaceFileTarget": ("webserver/server.py", _NO_DEV),
    "dagster._utils.log.configure_loggers": ("webserver/server.py", _NO_DEV),
    "dagster_webserver.app.create_app_from_workspace_process_context": ("webserver/server.py", _NO_DEV),
    "dagster._core.events.ASSET_EVENTS": ("instance/fast_event_log.py", _SLOW),
    "dagster._core.storage.event_log.SqliteEventLogStorage": ("instance/event_log.py", _SLOW),
    "dagster._core.storage.event_log.schema.SqlEventLogStorageTable": ("instance/fast_event_log.py", _SLOW),
    "dagster._core.storage.sqlite.SQLITE_BUSY_TIMEOUT_SECONDS": ("instance/fast_event_log.py", _SLOW),
    "dagster._serdes.ConfigurableClassData": ("instance/event_log.py", _SLOW),
}
"""Private names that are imported: where, and what stops working without them."""

STARTED = {"dagster._daemon": ("webserver/server.py", "`tiktok-assets dev` starts without the daemon")}
"""Private modules that are started with `python -m`."""

EVENT_LOG_ATTRIBUTES = (
    "_connect",
    "_db_lock",
    "_event_to_row",
    "_initdb",
    "_initialized_dbs",
    "_store_asset_event",
    "_store_asset_event_tags",
)
"""Private members of SqliteEventLogStorage that instance/fast_event_log.py uses."""

HTTP_ATTRIBUTES = ("_mounts", "_network_backend", "_pool", "_transport")
"""Private members of an httpx client and its connection pool that api/transport.py uses."""


def is_private(name: str) -> bool:
    """Return whether a part of a dotted name begins with one underscore."""
    return any(part.startswith("_") and not part.startswith("__") for part in name.split("."))


def imported_private_names() -> set[str]:
    """Return every private name of other packages that the product imports."""
    found = set()
    for module in PRODUCT.rglob("*.py"):
        for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and not (node.module or "").startswith("tiktok_assets"):
                found |= {f"{node.module}.{alias.name}" for alias in node.names}
            elif isinstance(node, ast.Import):
                found |= {alias.name for alias in node.names if not alias.name.startswith("tiktok_assets")}
    return {name for name in found if is_private(name)}


@pytest.mark.slow
def test_the_list_is_complete() -> None:
    """The list names the private names the product imports, all of them and no other."""
    undocumented = {"dagster_webserver.app.create_app_from_workspace_process_context"}
    assert imported_private_names() == set(IMPORTED) - undocumented


@pytest.mark.parametrize("name", IMPORTED)
def test_every_private_import_exists(name: str) -> None:
    """A private name we import is still there in the installed version of its library."""
    module, _, attribute = name.rpartition(".")
    where, effect = IMPORTED[name]
    library = module.split(".")[0].replace("_", "-")
    try:
        found = hasattr(importlib.import_module(module), attribute)
    except ImportError:
        found = False
    assert found, (
        f"{library} {version(library)} has no {name}, which {where} imports: {effect}. See docs/decisions.md."
    )


@pytest.mark.parametrize("name", STARTED)
def test_every_private_program_exists(name: str) -> None:
    """A private module we start as a program is still there."""
    where, effect = STARTED[name]
    assert importlib.util.find_spec(f"{name}.__main__"), f"there is no {name}, which {where} starts: {effect}"


@pytest.mark.parametrize("attribute", EVENT_LOG_ATTRIBUTES)
def test_every_private_attribute_of_the_event_log_exists(attribute: str) -> None:
    """The members of Dagster's event log that ours overrides or calls are still there."""
    from dagster._core.storage.event_log import SqliteEventLogStorage  # noqa: PLC0415 - checked above

    source = {name for base in SqliteEventLogStorage.__mro__ for name in vars(base)}
    created = ("_db_lock", "_initialized_dbs")  # set by __init__
    code = SqliteEventLogStorage.__init__.__code__.co_names
    assert attribute in source or (attribute in created and attribute in code), (
        f"dagster {version('dagster')} has no SqliteEventLogStorage.{attribute}: {_SLOW}. See docs/decisions.md."
    )


def test_every_private_attribute_of_the_http_client_exists() -> None:
    """The path from an httpx client to the network of its connections is still there."""
    with httpx.Client() as client:
        assert hasattr(client, "_mounts"), "httpx.Client has no _mounts, which api/transport.py uses"
        transport = getattr(client, "_transport", None)
        backend = getattr(getattr(transport, "_pool", None), "_network_backend", None)
        assert backend, "httpx.Client has no _transport._pool._network_backend, which api/transport.py replaces"


def test_every_private_name_is_in_the_decisions() -> None:
    """docs/decisions.md names each private name, so that whoever upgrades a library finds it."""
    names = {name.rpartition(".")[2] for name in IMPORTED} | {*STARTED, *EVENT_LOG_ATTRIBUTES, *HTTP_ATTRIBUTES}
    assert sorted(name for name in names if f"`{name}`" not in DECISIONS) == []
