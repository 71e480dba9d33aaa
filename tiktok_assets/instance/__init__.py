"""Create and open the Dagster instance and its workspace."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path

import dagster as dg
from filelock import FileLock
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError

from tiktok_assets.file_permissions import create_private_folder
from tiktok_assets.settings import Settings
from tiktok_assets.storage import StoreError

_POSTGRES_DRIVER = "psycopg2"
"""The driver that dagster-postgres works with; SQLAlchemy 2.1 chooses psycopg 3 where the URL names none."""

_DRIVERS = {"psycopg", "psycopg2", "pg8000", "asyncpg"}
_INSTALL = "pip install 'tiktok-assets[postgres]'"
_DRIVER_MESSAGE = (
    "{file} has a database URL for the driver {driver}, with which Dagster does not work; write"
    f" postgresql+{_POSTGRES_DRIVER}://... and run {_INSTALL}"
)


def prepare_instance(settings: Settings) -> Path:
    """Create the instance folder with our configuration files, if they are missing, and set DAGSTER_HOME to it.

    Raises:
        StoreError: if the folder cannot be created.
    """
    home = settings.instance_dir
    try:
        if home.is_relative_to(settings.state_dir):  # do not change permissions of a DAGSTER_HOME set by the user
            create_private_folder(settings.state_dir)
            create_private_folder(home)
        home.mkdir(parents=True, exist_ok=True)
        _copy_if_missing("dagster.yaml", home)
        _copy_if_missing("workspace.yaml", home)
    except OSError as error:
        raise StoreError(
            f"cannot write {home}: {error.strerror or error}; make it writable or point TIKTOK_STATE_DIR elsewhere"
        ) from error
    os.environ["DAGSTER_HOME"] = str(home)
    return home


def _copy_if_missing(name: str, folder: Path) -> None:
    target = folder / name
    if not target.exists():
        target.write_bytes(files(__package__).joinpath(name).read_bytes())


@contextmanager
def open_instance(settings: Settings) -> Iterator[dg.DagsterInstance]:
    """Open the Dagster instance of the settings; create it if it does not exist.

    Raises:
        StoreError: if its folder cannot be created, or the storage of its `dagster.yaml` cannot be opened.
    """
    home = prepare_instance(settings)
    # Two processes that create the same SQLite instance at once would leave it with two schema versions.
    with FileLock(home / "creation.lock"):
        instance = _get_instance(home)
    with instance:
        yield instance


def _get_instance(home: Path) -> dg.DagsterInstance:
    """Open the instance of `DAGSTER_HOME`, and translate the errors of its storage, without their passwords."""
    file = home / "dagster.yaml"
    try:
        instance = dg.DagsterInstance.get()
    except ModuleNotFoundError as error:
        if error.name in _DRIVERS:  # SQLAlchemy imports the driver that a URL names
            raise StoreError(_DRIVER_MESSAGE.format(file=file, driver=error.name)) from None
        raise StoreError(f"{file} needs the module {error.name}, which is not installed; install it") from error
    except Exception as error:
        if "import module" in str(error):  # of Dagster's invariants, whose class it does not export
            raise StoreError(
                f"{file} names a module that is not installed; for PostgreSQL run {_INSTALL}"
            ) from error
        if not isinstance(error, DBAPIError) and type(error).__module__.partition(".")[0] != "dagster_postgres":
            raise
        raise StoreError(
            f"the database in {file} cannot be opened ({type(error).__name__}); check that it runs, and its host,"
            " port, name, user and password"
        ) from None
    url = getattr(instance.event_log_storage, "postgres_url", None)
    if url and (driver := make_url(url).get_driver_name()) != _POSTGRES_DRIVER:
        instance.dispose()
        raise StoreError(_DRIVER_MESSAGE.format(file=file, driver=driver))
    return instance
