"""What `doctor` says of the folders: whether tables and state can be written."""

from pathlib import Path
from uuid import uuid4

from tiktok_assets.commands.chart import Chart
from tiktok_assets.owner_only import create_folder
from tiktok_assets.settings import Settings
from tiktok_assets.storage.hive_parquet import HiveStore


def check_folders(chart: Chart, settings: Settings) -> None:
    """Write a file into each folder and remove it."""
    try:
        HiveStore(settings.data_dir).check_writable()
    except Exception as error:  # noqa: BLE001 - the driver of an object store raises what it likes
        chart.fault("store", str(error))
    for folder, variable in ((settings.state_dir, "TIKTOK_STATE_DIR"), (settings.dagster_home, "DAGSTER_HOME")):
        try:
            if folder == settings.state_dir:
                create_folder(folder)
            _check_writable(folder)
        except OSError as error:
            mend = f"Make the folder writable or point {variable} elsewhere."
            chart.fault("state", f"cannot write to {folder}: {error.strerror or error}", mend)
    chart.well("store", "state")


def _check_writable(folder: Path | None) -> None:
    if folder:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / f"{uuid4().hex}.probe"
        probe.write_bytes(b"")
        probe.unlink()
