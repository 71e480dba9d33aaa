"""Checks of the destination `postgres` on a server of its own; `make destinations` runs them."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from decimal import Decimal
from pathlib import Path

import psycopg2
import pytest

from tiktok_assets.publish.destination import DestinationError
from tiktok_assets.publish.postgres import PostgresDestination
from tiktok_assets.publish.publisher import publish_tables
from tiktok_assets.storage.parquet_store import Partition
from tiktok_assets_tests.processes import run_together
from tiktok_assets_tests.publish import laws
from tiktok_assets_tests.publish.engines import PostgresEngine
from tiktok_assets_tests.publish.postgres_server import PASSWORD, PostgresServer, run_postgres
from tiktok_assets_tests.publish.stored_rows import Store

PROGRAM = """
import sys
from pathlib import Path
from tiktok_assets.publish.postgres import PostgresDestination
from tiktok_assets.publish.publisher import publish_tables
from tiktok_assets_tests.publish.stored_rows import Store
store = Store(Path(sys.argv[1]))
destination = PostgresDestination(sys.argv[2], sys.argv[3])
print("ready", flush=True)
sys.stdin.readline()
result = publish_tables(store.tables, destination, max_partitions=1)
print(sum(result.partitions.values()))
"""


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    """Run a server for all checks."""
    with run_postgres() as one:
        yield one


@pytest.fixture
def engine(server: PostgresServer) -> PostgresEngine:
    """Return a schema that does not exist yet."""
    return PostgresEngine(server.url())


def execute(url: str, *statements: str) -> list[tuple[object, ...]]:
    """Execute statements and return the rows of the last."""
    with closing(psycopg2.connect(url)) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)
            return cursor.fetchall() if cursor.description else []


def test_published_is_stored_after_any_sequence(server: PostgresServer) -> None:
    """After any sequence of writes, removals, kills and publications the next publication makes both equal."""
    laws.check_random_sequences(lambda _: PostgresEngine(server.url()), 40)


def test_a_kill_at_any_step_loses_and_doubles_nothing(server: PostgresServer, tmp_path: Path) -> None:
    """Killed at any statement, each partition is the old or the new one, and the next publication completes it."""
    deaths = laws.check_every_death(lambda _: PostgresEngine(server.url()), tmp_path)
    print(f"died at {deaths} statements")  # noqa: T201 - a figure for whoever runs the check
    assert deaths > 20


def test_a_second_publication_sends_nothing(engine: PostgresEngine, tmp_path: Path) -> None:
    """A version in the ledger is not sent again, also from a copy of the store; a lost store deletes nothing."""
    laws.check_nothing_is_sent_twice(lambda _: engine, tmp_path)


def test_a_row_that_someone_changed_is_found(engine: PostgresEngine, tmp_path: Path) -> None:
    """A changed, renamed, missing, doubled or foreign row is found with its partition, and repaired."""
    laws.check_tampering_is_found(lambda _: engine, tmp_path)


def test_types_and_comments_arrive(engine: PostgresEngine, tmp_path: Path) -> None:
    """Ids are text, amounts exact decimals, instants have a zone, and each column has its meaning as a comment."""
    store = Store(tmp_path)
    laws.fill(store, 0)
    laws.publish(store, engine)
    found = execute(
        engine.url,
        "SELECT attname, format_type(atttypid, atttypmod), col_description(attrelid, attnum) FROM pg_attribute"
        f" WHERE attrelid = '{engine.schema}.ads'::regclass AND attnum > 0 ORDER BY attnum",
    )
    assert found[0] == ("advertiser_id", "text", "the ad account")
    assert found[1] == ("ad_id", "text", "the ad, as 'text' with a quote")
    assert [kind for _, kind, _ in found[3:]] == [
        "date", "numeric(18,4)", "bigint", "double precision", "timestamp with time zone", "boolean",
    ]  # fmt: skip
    assert execute(engine.url, f"SELECT obj_description('{engine.schema}.ads'::regclass)") == [
        ("All ads, 'quoted'.",)
    ]
    total = execute(engine.url, f"SELECT sum(spend) FROM {engine.schema}.ads")[0][0]
    assert total == store.read("ads").get_column("spend").sum()
    assert isinstance(total, Decimal)


def test_a_killed_process_leaves_whole_partitions(server: PostgresServer, tmp_path: Path) -> None:
    """A process that is killed while it publishes leaves whole partitions, and the next one sends the rest."""
    engine, store = PostgresEngine(server.url()), Store(tmp_path)
    laws.fill(store, 0)
    killing = PROGRAM.replace(
        "result =",
        "import os, signal, threading\n"
        "threading.Timer(float(sys.argv[4]), lambda: os.kill(os.getpid(), signal.SIGKILL)).start()\nresult =",
    )
    codes = []
    for delay in (0.001, 0.02, 0.04, 0.06, 0.1, 0.2):
        command = [sys.executable, "-c", killing, str(tmp_path), engine.url, engine.schema, str(delay)]
        codes.append(subprocess.run(command, input="go\n", text=True, check=False).returncode)  # noqa: S603 - ours
    assert -9 in codes
    laws.publish(store, engine)
    laws.assert_published(store, engine)


def test_two_processes_at_once_publish_each_version_once(server: PostgresServer, tmp_path: Path) -> None:
    """Two processes that publish at the same moment send each partition once between them."""
    engine, store = PostgresEngine(server.url()), Store(tmp_path)
    laws.fill(store, 0)
    sent = run_together(PROGRAM, [(tmp_path, engine.url, engine.schema)] * 2)
    assert sum(map(int, sent)) == 10
    laws.assert_published(store, engine)


def test_a_server_that_is_down_is_caught_up_with(server: PostgresServer, tmp_path: Path) -> None:
    """While the server is down one sentence says so; afterwards only what changed meanwhile is sent."""
    engine, store = PostgresEngine(server.url()), Store(tmp_path)
    laws.fill(store, 0)
    laws.publish(store, engine)
    with closing(engine.open()) as destination:
        server.stop()
        with pytest.raises(DestinationError, match="has ended the connection"):
            publish_tables(store.tables, destination)
    store.write("ads", Partition("7001"), 5, 9)
    with pytest.raises(DestinationError, match=r"postgres: the server 127\.0\.0\.1:[0-9]+ cannot be reached"):
        laws.publish(store, engine)
    server.start()
    result = laws.publish(store, engine)
    assert result
    assert result.partitions == {"ads": 1}
    laws.assert_published(store, engine)


def test_what_cannot_be_used_is_one_sentence(server: PostgresServer, tmp_path: Path) -> None:
    """A wrong password, database, permission or encoding is said in one sentence without a secret."""
    execute(
        server.url(),
        "CREATE ROLE reader LOGIN PASSWORD 'reader'",
        "CREATE DATABASE latin ENCODING 'LATIN1' TEMPLATE template0",
    )
    store = Store(tmp_path)
    cases = {
        server.url(password="wrong-secret"): "refuses the password of postgres; correct it in TIKTOK_POSTGRES_URL",
        server.url(database="nowhere"): "there is no database nowhere at",
        server.url("reader", "reader"): "reader has no permission in postgres at",
        server.url(database="latin"): "has the encoding LATIN1",
    }
    for url, expected in cases.items():
        with pytest.raises(DestinationError, match=expected) as error:
            publish_tables(store.tables, PostgresDestination(url, "tiktok"))
        assert not any(secret in str(error.value) for secret in ("wrong-secret", PASSWORD))
        assert "\n" not in str(error.value)


def test_an_incompatible_column_stops_its_table_only(engine: PostgresEngine, tmp_path: Path) -> None:
    """A column of another type is named with what to do; the other tables are published."""
    execute(
        engine.url, f"CREATE SCHEMA {engine.schema}", f"CREATE TABLE {engine.schema}.ads (spend double precision)"
    )
    store = Store(tmp_path)
    laws.fill(store, 0)
    with closing(engine.open()) as destination:
        result = publish_tables(store.tables, destination)
    (failure,) = result.failures
    assert f"the column {engine.schema}.ads.spend is double precision" in failure
    assert "numeric(18, 4)" in failure
    assert "TIKTOK_POSTGRES_SCHEMA" in failure
    assert result.partitions.keys() == {"advertisers", "ad_report_daily"}
