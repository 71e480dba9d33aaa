"""Tests of the state: exact values, serialized transactions, and no secrets in errors."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from tiktok_assets.duplication.ledger import Ledger
from tiktok_assets.storage.engine import open_engine
from tiktok_assets.storage.state import State, StateError, duplications, leases, report_timeouts

AT = datetime(2026, 11, 6, 12, 0, tzinfo=UTC)


def test_values_roundtrip(tmp_path: Path) -> None:
    """Instants stay aware and sort by time in any time zone; amounts keep every digit."""
    state = State(f"sqlite:///{tmp_path}/below/state.sqlite")
    tokyo = AT.astimezone(timezone(timedelta(hours=9)))
    with state.transaction() as connection:
        connection.execute(
            sa.insert(report_timeouts), [{"query": "q", "at": tokyo}, {"query": "q", "at": AT - timedelta(1)}]
        )
        row = {"duplication_key": "k", "advertiser_id": "1", "ad_id": "2", "campaign_id": "3", "status": "started"}
        money = {"budget": Decimal("20.10"), "started_at": AT}
        connection.execute(sa.insert(duplications).values(**row, **money))
    state.close()

    with State(f"sqlite:///{tmp_path}/below/state.sqlite").transaction() as connection:
        assert connection.scalars(sa.select(report_timeouts.c.at).order_by(report_timeouts.c.at)).all() == [
            AT - timedelta(1),
            AT,
        ]
        assert str(connection.scalar(sa.select(duplications.c.budget))) == "20.10"


def test_failed_transaction_is_rolled_back(tmp_path: Path) -> None:
    """What a transaction wrote before it failed is not stored."""
    state = State(f"sqlite:///{tmp_path}/state.sqlite")
    with pytest.raises(IntegrityError):
        _insert_twice(state)
    with state.transaction() as connection:
        assert connection.scalar(sa.select(sa.func.count()).select_from(report_timeouts)) == 0


def test_transactions_are_serialized(tmp_path: Path) -> None:
    """Of eight concurrent writers that read and increment a value, none overwrites another."""
    address = f"sqlite:///{tmp_path}/state.sqlite"
    with State(address).transaction() as connection:
        connection.execute(sa.insert(leases).values(name="n", owner="0", until=AT))

    def increment(_: int) -> None:
        state = State(address)
        for _again in range(10):
            with state.transaction() as connection:
                owner = connection.scalar(sa.select(leases.c.owner))
                connection.execute(sa.update(leases).values(owner=str(int(str(owner)) + 1)))
        state.close()

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(increment, range(8)))
    with State(address).transaction() as connection:
        assert connection.scalar(sa.select(leases.c.owner)) == "80"


@pytest.mark.parametrize(
    "url", ["postgresql+psycopg2://us:s3cr3tpw@127.0.0.1:9/state", "nonsense", "sqlite:////proc/none/state.sqlite"]
)
def test_unopenable_state_error_contains_no_password(url: str) -> None:
    """The error says which setting to check, and contains no password."""
    with pytest.raises(StateError, match="TIKTOK_STATE_URL") as raised:
        State(url)
    assert "s3cr3tpw" not in str(raised.value)
    assert raised.value.__cause__ is None


def test_postgres_url_without_a_driver_uses_the_one_of_the_extra() -> None:
    """`postgresql://` means psycopg2, which the extra `postgres` installs."""
    assert open_engine(sa.make_url("postgresql://u@127.0.0.1:9/state")).dialect.driver == "psycopg2"


def _insert_twice(state: State) -> None:
    with state.transaction() as connection:
        for _ in range(2):
            connection.execute(sa.insert(report_timeouts).values(query="q", at=AT))


def test_older_state_is_extended_and_keeps_its_rows(tmp_path: Path) -> None:
    """A state from before undo and snapshots keeps its rows, and the earlier version can still write to it."""
    url = f"sqlite:///{tmp_path}/state.sqlite"
    added = {"target_kind", "undo_started_at", "undone_at", "undone_by", "undo_result"}
    older = sa.MetaData()
    columns = [sa.Column(one.name, one.type, primary_key=one.primary_key) for one in duplications.columns]
    older_table = sa.Table("duplications", older, *(one for one in columns if one.name not in added))
    row = {"advertiser_id": "1", "ad_id": "2", "campaign_id": "3", "again": 0, "enable": False}
    row |= {"status": "done", "started_at": AT}
    engine = sa.create_engine(url)
    with engine.begin() as connection:
        older.create_all(connection)
        connection.execute(sa.insert(older_table).values(duplication_key="before", **row))

    with closing(State(url)) as state:
        with engine.begin() as connection:
            connection.execute(sa.insert(older_table).values(duplication_key="after", **row))
            assert connection.scalars(sa.select(older_table.c.duplication_key)).all() == ["after", "before"]
        entries = Ledger(state).entries()
        assert [(one.duplication_key, one.kind, one.undo_started_at) for one in entries] == [
            ("after", "manual", None),
            ("before", "manual", None),
        ]
        assert Ledger(state).objects("before") == []
    engine.dispose()
