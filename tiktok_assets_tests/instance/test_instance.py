"""Tests of the Dagster instance: its folder, its configuration, and concurrent creation."""

import os
import subprocess
import sys
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path

import pytest

from tiktok_assets.instance import open_instance, prepare_instance
from tiktok_assets.settings import Settings, load_settings
from tiktok_assets.storage.parquet_store import StoreError

OPENING_PROCESS = """
import sys
from tiktok_assets.instance import open_instance
from tiktok_assets.settings import load_settings
print("ready", flush=True)
sys.stdin.readline()
with open_instance(load_settings()) as instance:
    instance.add_dynamic_partitions("advertiser_id", [sys.argv[1]])
    print(instance.get_dynamic_partitions("advertiser_id"), len(instance.get_runs()))
"""


@pytest.fixture(autouse=True)
def _restore_environment() -> Iterator[None]:
    """Unset DAGSTER_HOME for the test, and restore it afterwards."""
    before = os.environ.pop("DAGSTER_HOME", None)
    yield
    os.environ.pop("DAGSTER_HOME", None)
    if before is not None:
        os.environ["DAGSTER_HOME"] = before


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Return settings with new folders."""
    return load_settings(state_dir=tmp_path / "state", data_dir=str(tmp_path / "data"))


def read_packaged_file(name: str) -> bytes:
    """Return the content of a file of the package."""
    return files("tiktok_assets.instance").joinpath(name).read_bytes()


def test_default_home_is_in_the_state_folder(settings: Settings, tmp_path: Path) -> None:
    """Without DAGSTER_HOME the instance is created in the state folder, and DAGSTER_HOME is set to it."""
    home = prepare_instance(settings)
    assert home == tmp_path / "state" / "dagster"
    assert os.environ["DAGSTER_HOME"] == str(home)
    for name in ("dagster.yaml", "workspace.yaml"):
        assert (home / name).read_bytes() == read_packaged_file(name)


def test_existing_dagster_home_is_used(tmp_path: Path) -> None:
    """DAGSTER_HOME of the user is used, and nothing is created in the state folder."""
    os.environ["DAGSTER_HOME"] = str(tmp_path / "mine")
    settings = load_settings(state_dir=tmp_path / "state")
    assert prepare_instance(settings) == tmp_path / "mine"
    assert os.environ["DAGSTER_HOME"] == str(tmp_path / "mine")
    assert not (tmp_path / "state").exists()


def test_existing_dagster_yaml_is_kept(settings: Settings) -> None:
    """A dagster.yaml of the user is never overwritten."""
    home = settings.instance_dir
    home.mkdir(parents=True)
    (home / "dagster.yaml").write_text("telemetry: {enabled: false}\n# mine\n")
    for _ in range(2):
        prepare_instance(settings)
        assert (home / "dagster.yaml").read_text() == "telemetry: {enabled: false}\n# mine\n"
    assert (home / "workspace.yaml").read_bytes() == read_packaged_file("workspace.yaml")


def test_unwritable_folder_error_suggests_a_fix(tmp_path: Path) -> None:
    """If the folder cannot be created, the error has its path and the setting to change."""
    (tmp_path / "state").write_text("a file instead of a folder")
    settings = load_settings(state_dir=tmp_path / "state")
    with pytest.raises(StoreError, match="make it writable or point TIKTOK_STATE_DIR elsewhere") as caught:
        prepare_instance(settings)
    assert str(tmp_path / "state" / "dagster") in str(caught.value)
    assert "DAGSTER_HOME" not in os.environ


def test_instance_is_persistent(settings: Settings) -> None:
    """An instance that is opened again still has its partitions."""
    with open_instance(settings) as instance:
        instance.add_dynamic_partitions("advertiser_id", ["7001"])
        assert instance.telemetry_enabled is False
        assert instance.nux_enabled is False
    with open_instance(settings) as instance:
        assert instance.get_dynamic_partitions("advertiser_id") == ["7001"]


@pytest.mark.slow
def test_concurrent_creation(tmp_path: Path) -> None:
    """Two processes that create the instance at the same time both succeed."""
    environment = {**os.environ, "TIKTOK_STATE_DIR": str(tmp_path / "state")}
    processes = [
        subprocess.Popen(  # noqa: S603 - our own interpreter
            [sys.executable, "-W", "ignore", "-c", OPENING_PROCESS, owner],
            cwd=tmp_path,
            env={**environment, "PYTHONPATH": str(Path(__file__).parent.parent.parent)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for owner in ("7001", "7002")
    ]
    for process in processes:
        assert process.stdout
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin
        process.stdin.write("\n")
        process.stdin.flush()
    for process in processes:
        out, err = process.communicate(timeout=60)
        assert process.returncode == 0, err
        assert "Traceback" not in err
        assert out.endswith(" 0\n")
    settings = load_settings(state_dir=tmp_path / "state")
    with open_instance(settings) as instance:
        assert sorted(instance.get_dynamic_partitions("advertiser_id")) == ["7001", "7002"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("storage", "expected"),
    [
        ("postgres: {postgres_url: 'postgresql://u:s3cr3tpw@127.0.0.1:9/d'}", r"write postgresql\+psycopg2://"),
        ("postgres: {postgres_url: 'postgresql+psycopg2://u:s3cr3tpw@127.0.0.1:9/d'}", "check that it runs"),
        ("custom: {module: not_there, class: Storage}", "names a module that is not installed"),
    ],
)
def test_unopenable_storage_is_one_sentence(tmp_path: Path, storage: str, expected: str) -> None:
    """A storage that cannot be opened is an error that names the file and the fix, without the password."""
    os.environ["DAGSTER_HOME"] = str(tmp_path)
    (tmp_path / "dagster.yaml").write_text(f"storage:\n  {storage}\n")
    with pytest.raises(StoreError, match=expected) as raised, open_instance(load_settings()):
        pass
    assert str(tmp_path / "dagster.yaml") in str(raised.value)
    assert "s3cr3tpw" not in str(raised.value)
