"""Laws of the one Dagster instance: where it lives, what is kept, and that it may be opened by several at once."""

import os
import subprocess
import sys
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path

import pytest

from tiktok_assets.instance import open_instance, prepare_instance
from tiktok_assets.settings import Settings, load_settings
from tiktok_assets.storage.hive_store import StoreError

OPEN = """
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
def _environment_as_it_was() -> Iterator[None]:
    """The variable that names the instance is as it was before and after each test."""
    before = os.environ.pop("DAGSTER_HOME", None)
    yield
    os.environ.pop("DAGSTER_HOME", None)
    if before is not None:
        os.environ["DAGSTER_HOME"] = before


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Settings of a fresh folder."""
    return load_settings(state_dir=tmp_path / "state", data_dir=str(tmp_path / "data"))


def packaged(name: str) -> bytes:
    """A file as it comes with the package."""
    return files("tiktok_assets.instance").joinpath(name).read_bytes()


def test_without_a_home_it_lives_in_the_state_folder(settings: Settings, tmp_path: Path) -> None:
    """The folder is made with our `dagster.yaml` and workspace, and Dagster is told of it."""
    home = prepare_instance(settings)
    assert home == tmp_path / "state" / "dagster"
    assert os.environ["DAGSTER_HOME"] == str(home)
    for name in ("dagster.yaml", "workspace.yaml"):
        assert (home / name).read_bytes() == packaged(name)


def test_a_home_of_ones_own_is_respected(tmp_path: Path) -> None:
    """DAGSTER_HOME decides where it lives; the state folder holds no second one."""
    os.environ["DAGSTER_HOME"] = str(tmp_path / "mine")
    settings = load_settings(state_dir=tmp_path / "state")
    assert prepare_instance(settings) == tmp_path / "mine"
    assert os.environ["DAGSTER_HOME"] == str(tmp_path / "mine")
    assert not (tmp_path / "state").exists()


def test_a_dagster_yaml_of_ones_own_is_kept(settings: Settings) -> None:
    """What a person wrote there stands, however often the instance is prepared."""
    home = settings.instance_dir
    home.mkdir(parents=True)
    (home / "dagster.yaml").write_text("telemetry: {enabled: false}\n# mine\n")
    for _ in range(2):
        prepare_instance(settings)
        assert (home / "dagster.yaml").read_text() == "telemetry: {enabled: false}\n# mine\n"
    assert (home / "workspace.yaml").read_bytes() == packaged("workspace.yaml")


def test_a_folder_that_cannot_be_made_is_named_with_its_mend(tmp_path: Path) -> None:
    """Where a file is in the way, the error says where and which variable to change."""
    (tmp_path / "state").write_text("in the way")
    settings = load_settings(state_dir=tmp_path / "state")
    with pytest.raises(StoreError, match="make it writable or point TIKTOK_STATE_DIR elsewhere") as caught:
        prepare_instance(settings)
    assert str(tmp_path / "state" / "dagster") in str(caught.value)
    assert "DAGSTER_HOME" not in os.environ


def test_what_is_kept_is_there_when_it_is_opened_again(settings: Settings) -> None:
    """An instance that was closed remembers its partitions."""
    with open_instance(settings) as instance:
        instance.add_dynamic_partitions("advertiser_id", ["7001"])
        assert instance.telemetry_enabled is False
        assert instance.nux_enabled is False
    with open_instance(settings) as instance:
        assert instance.get_dynamic_partitions("advertiser_id") == ["7001"]


def test_two_processes_that_open_a_fresh_one_at_once_both_succeed(tmp_path: Path) -> None:
    """Neither finds it half made: both write to it, and afterwards both entries are there."""
    environment = {**os.environ, "TIKTOK_STATE_DIR": str(tmp_path / "state")}
    processes = [
        subprocess.Popen(  # noqa: S603 - our own interpreter
            [sys.executable, "-W", "ignore", "-c", OPEN, owner],
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
