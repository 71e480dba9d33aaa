"""Tests of names in paths: nothing outside the data folder is touched, whatever the name."""

from datetime import date
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tiktok_assets.storage.parquet_store import HiveStore, Partition, StoreError, UnsafeNameError
from tiktok_assets.storage.partition import validate_names
from tiktok_assets.tables.value_parser import parse_advertiser_id
from tiktok_assets_tests.api.conftest import Listener
from tiktok_assets_tests.cli.conftest import run_command

DAY = date(2026, 3, 1)
UNSAFE_NAMES = (
    "..", "../..", "../../outside", "/etc", "/", "",
    ".", "a/b", "a\\b", "..\\x", "7001/../../x", "7001\n", "7001\0",
    "C:", "~", "%2e%2e%2f", "7001 ", "\uff17\uff10\uff10\uff11", "a" * 129,
    "file://x", "7001|2026-01-01", "advertiser_id=7", "*",
)  # fmt: skip
SCHEMA = pl.Schema({"advertiser_id": pl.String()})


def collect_errors(store: HiveStore, table: str, owner: str | None, day: date | None = None) -> list[Exception]:
    """Call everything the store does with a name, and return the errors."""
    partition = Partition(owner, day)
    frame = pl.DataFrame({"advertiser_id": [owner]}, schema=SCHEMA)
    raised: list[Exception] = []
    for operation in (
        lambda: store.write(table, Partition(owner), frame),
        lambda: store.scan_partition(table, partition),
        lambda: store.partition_size(table, partition),
        lambda: store.read_metadata(table, partition),
        lambda: store.read(table, SCHEMA, [partition]),
        lambda: store.scan(table, SCHEMA, advertiser_ids=[owner] if owner is not None else None),
        lambda: store.file_versions(table, [owner] if owner is not None else None),
    ):
        with pytest.raises(UnsafeNameError) as caught:
            operation()
        raised.append(caught.value)
    return raised


@pytest.mark.parametrize("name", UNSAFE_NAMES)
def test_unsafe_name_is_rejected_by_every_operation(tmp_path: Path, name: str) -> None:
    """Every operation of the store rejects an unsafe name with the same error and creates no file."""
    store = HiveStore(str(tmp_path / "data"))
    assert all(isinstance(error, StoreError) for error in collect_errors(store, "ads", name))
    collect_errors(store, name, "7001")
    collect_errors(store, name, None)
    assert list(tmp_path.iterdir()) == []


@given(name=st.text(max_size=40), table=st.sampled_from(["ads", "ad_report_daily"]))
def test_path_stays_below_its_table(name: str, table: str) -> None:
    """For any text, the path is either rejected or exactly one folder below the table."""
    partition = Partition(name, DAY)
    try:
        validate_names(table, partition)
    except UnsafeNameError:
        return
    path = Path(HiveStore("/data").files.path(table, partition.file_key))
    assert path.parts == ("/", "data", table, f"advertiser_id={name}", "date=2026-03-01", "part-0.parquet")
    assert Path(str(path)).resolve() == path


@given(value=st.one_of(st.text(max_size=40), st.integers(), st.none(), st.booleans(), st.floats()))
def test_advertiser_id_has_digits_only(value: object) -> None:
    """An account's id from the API has digits only, or is rejected."""
    try:
        text = parse_advertiser_id(value)
    except (TypeError, ValueError):
        return
    assert text.isascii()
    assert text.isdigit()
    assert text == str(value)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["../../outside", "7001/../../x", "/etc/x", "7001|x", "7001,7002"])
def test_unsafe_id_from_the_api_writes_nothing(tmp_path: Path, name: str) -> None:
    """An unsafe id in the list of accounts is rejected before any table is written."""
    body = pl.DataFrame({"advertiser_id": [name], "advertiser_name": ["x"]}).to_dicts()
    response = (
        b'{"code": 0, "message": "OK", "request_id": "1", "data": {"list": ' + str(body).replace("'", '"').encode()
    )
    with Listener(body=response + b"}}") as host:
        variables = {
            "TIKTOK_BASE_URL": host.url,
            "TIKTOK_ACCESS_TOKEN": "token",
            "TIKTOK_APP_ID": "1",
            "TIKTOK_APP_SECRET": "secret",
        }
        result = run_command("sync", "--select", "advertisers", variables=variables, folder=tmp_path)
    assert result.exit_code == 1, result.out
    assert "not an advertiser id" in result.err
    assert "Traceback" not in result.err
    assert list(tmp_path.rglob("*.parquet")) == []


@pytest.mark.slow
@pytest.mark.parametrize("name", ["../../outside", "..", "/etc"])
@pytest.mark.parametrize("command", [("top",), ("sync", "--select", "ads"), ("get", "ads")])
def test_unsafe_id_in_a_command_is_one_error_line(tmp_path: Path, command: tuple[str, ...], name: str) -> None:
    """An unsafe id in `--advertiser` ends the command with one error line."""
    (tmp_path / "work").mkdir()
    variables = {
        "TIKTOK_BASE_URL": "http://127.0.0.1:9",
        "TIKTOK_ADVERTISER_IDS": "7001",
        "TIKTOK_ACCESS_TOKEN": "t",
    }
    result = run_command(*command, "--advertiser", name, variables=variables, folder=tmp_path / "work")
    assert result.exit_code in {1, 2}
    assert len([line for line in result.err.splitlines() if line.startswith("Error: ")]) == 1
    assert "Traceback" not in result.err
