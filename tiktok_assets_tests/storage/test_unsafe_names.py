"""Laws of names in paths: whatever a table or an account is called, nothing outside the data folder is touched."""

from datetime import date
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tiktok_assets.storage.hive_store import HiveStore, Partition, StoreError, UnsafeNameError
from tiktok_assets.tables.cells import parse_advertiser_id
from tiktok_assets_tests.api.conftest import Listener
from tiktok_assets_tests.cli.conftest import run_command

DAY = date(2026, 3, 1)
EVIL = (
    "..", "../..", "../../outside", "/etc", "/", "",
    ".", "a/b", "a\\b", "..\\x", "7001/../../x", "7001\n", "7001\0",
    "C:", "~", "%2e%2e%2f", "7001 ", "\uff17\uff10\uff10\uff11", "a" * 129,
    "file://x", "7001|2026-01-01", "advertiser_id=7", "*",
)  # fmt: skip
SCHEMA = pl.Schema({"advertiser_id": pl.String()})


def touches(store: HiveStore, table: str, owner: str | None, day: date | None = None) -> list[Exception]:
    """The errors of everything the store does with a name."""
    partition = Partition(owner, day)
    frame = pl.DataFrame({"advertiser_id": [owner]}, schema=SCHEMA)
    raised: list[Exception] = []
    for act in (
        lambda: store.write(table, Partition(owner), frame),
        lambda: store.scan_partition(table, partition),
        lambda: store.partition_size(table, partition),
        lambda: store.read_metadata(table, partition),
        lambda: store.read(table, SCHEMA, [partition]),
        lambda: store.scan(table, SCHEMA, advertiser_ids=[owner] if owner is not None else None),
        lambda: store.file_versions(table, [owner] if owner is not None else None),
    ):
        with pytest.raises(UnsafeNameError) as caught:
            act()
        raised.append(caught.value)
    return raised


@pytest.mark.parametrize("name", EVIL)
def test_a_name_that_is_none_is_refused_everywhere(tmp_path: Path, name: str) -> None:
    """Whatever the store does with it, a name that is no plain one ends in one error, and no file appears."""
    store = HiveStore(str(tmp_path / "data"))
    assert all(isinstance(error, StoreError) for error in touches(store, "ads", name))
    touches(store, name, "7001")
    touches(store, name, None)
    assert list(tmp_path.iterdir()) == []


@given(name=st.text(max_size=40), table=st.sampled_from(["ads", "ad_report_daily"]))
def test_a_path_never_leaves_its_table(name: str, table: str) -> None:
    """For any text: refused, or exactly one folder below the table, whose name it ends."""
    store = HiveStore("/data")
    try:
        path = Path(store._path(table, Partition(name, DAY)))  # noqa: SLF001 - the law is about it
    except UnsafeNameError:
        return
    assert path.parts == ("/", "data", table, f"advertiser_id={name}", "date=2026-03-01", "part-0.parquet")
    assert Path(str(path)).resolve() == path


@given(value=st.one_of(st.text(max_size=40), st.integers(), st.none(), st.booleans(), st.floats()))
def test_an_accounts_id_is_digits(value: object) -> None:
    """What the API gives as an account's id is digits, or refused."""
    try:
        told = parse_advertiser_id(value)
    except (TypeError, ValueError):
        return
    assert told.isascii()
    assert told.isdigit()
    assert told == str(value)


@pytest.mark.parametrize("name", ["../../outside", "7001/../../x", "/etc/x", "7001|x", "7001,7002"])
def test_an_evil_id_of_the_api_writes_nothing(tmp_path: Path, name: str) -> None:
    """A host that lists an account with such an id gets it refused, before any table is written."""
    body = pl.DataFrame({"advertiser_id": [name], "advertiser_name": ["x"]}).to_dicts()
    answer = (
        b'{"code": 0, "message": "OK", "request_id": "1", "data": {"list": ' + str(body).replace("'", '"').encode()
    )
    with Listener(body=answer + b"}}") as host:
        variables = {
            "TIKTOK_BASE_URL": host.url,
            "TIKTOK_ACCESS_TOKEN": "token",
            "TIKTOK_APP_ID": "1",
            "TIKTOK_APP_SECRET": "secret",
        }
        ran = run_command("sync", "--select", "advertisers", variables=variables, folder=tmp_path)
    assert ran.exit_code == 1, ran.out
    assert "not an advertiser id" in ran.err
    assert "Traceback" not in ran.err
    assert list(tmp_path.rglob("*.parquet")) == []


@pytest.mark.parametrize("name", ["../../outside", "..", "/etc"])
@pytest.mark.parametrize("command", [("top",), ("sync", "--select", "ads"), ("get", "ads")])
def test_an_evil_id_of_a_command_is_a_sentence(tmp_path: Path, command: tuple[str, ...], name: str) -> None:
    """`--advertiser` with such an id ends with one sentence."""
    (tmp_path / "work").mkdir()
    variables = {
        "TIKTOK_BASE_URL": "http://127.0.0.1:9",
        "TIKTOK_ADVERTISER_IDS": "7001",
        "TIKTOK_ACCESS_TOKEN": "t",
    }
    ran = run_command(*command, "--advertiser", name, variables=variables, folder=tmp_path / "work")
    assert ran.exit_code in {1, 2}
    assert len([line for line in ran.err.splitlines() if line.startswith("Error: ")]) == 1
    assert "Traceback" not in ran.err
