"""The one Dagster instance and its workspace: where they live and how they are made."""

import os
from importlib.resources import files
from pathlib import Path

from tiktok_assets.owner_only import create_folder
from tiktok_assets.settings import Settings
from tiktok_assets.storage.hive_parquet import StoreError


def prepare_instance(settings: Settings) -> Path:
    """Make the folder of the instance with our `dagster.yaml`, unless one is there, and name it DAGSTER_HOME.

    Raises:
        StoreError: if the folder cannot be made.
    """
    home = settings.instance_dir
    try:
        if home.is_relative_to(settings.state_dir):  # a DAGSTER_HOME of the user's own keeps its permissions
            create_folder(settings.state_dir)
            create_folder(home)
        home.mkdir(parents=True, exist_ok=True)
        _place("dagster.yaml", home)
        _place("workspace.yaml", home)
    except OSError as error:
        raise StoreError(
            f"cannot write {home}: {error.strerror or error}; make it writable or point TIKTOK_STATE_DIR elsewhere"
        ) from error
    os.environ["DAGSTER_HOME"] = str(home)
    return home


def _place(name: str, folder: Path) -> None:
    target = folder / name
    if not target.exists():
        target.write_bytes(files(__package__).joinpath(name).read_bytes())
