"""Create and open the Dagster instance and its workspace."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path

import dagster as dg
from filelock import FileLock

from tiktok_assets.file_permissions import create_private_folder
from tiktok_assets.settings import Settings
from tiktok_assets.storage import StoreError


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
        StoreError: if its folder cannot be created.
    """
    home = prepare_instance(settings)
    # Two processes that create the same SQLite instance at once would leave it with two schema versions.
    with FileLock(home / "creation.lock"):
        instance = dg.DagsterInstance.get()
    with instance:
        yield instance
