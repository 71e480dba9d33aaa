"""Publish to Postgres: `COPY` within transactions, through psycopg2."""

import io
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import polars as pl

from tiktok_assets.publish.destination import DestinationError, PublishedTable
from tiktok_assets.publish.sql import SqlDestination, quote_name

if TYPE_CHECKING:
    import psycopg2.extensions

NAME = "postgres"
CONNECT_SECONDS = 10
_LOCK_SECONDS = 60
_PARAMETERS = {
    "connect_timeout": CONNECT_SECONDS,
    "application_name": "tiktok_assets",
    # A connection that a firewall has cut ends after a minute and a half, not never.
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
    "tcp_user_timeout": 90_000,
    "client_encoding": "UTF8",
}

_INSTANT = pl.col(pl.Datetime)
_SUMS: Mapping[type[pl.DataType], str] = {
    pl.String: "sum(('x' || left(md5(convert_to({}, 'UTF8')), 8))::bit(32)::bigint)",
    pl.Int64: "sum({})",
    pl.Float64: "sum({})",
    pl.Decimal: "sum({})",
    pl.Boolean: "sum({}::integer)",
    pl.Date: "sum({} - DATE '1970-01-01')",
    pl.Datetime: "sum(extract(epoch FROM {}) * 1000000)",
}


class PostgresDestination(SqlDestination):
    """A schema of a Postgres database.

    Args:
        url: the database as libpq takes it, with the password, which no message contains.
        schema: the schema.

    Raises:
        DestinationError: if the driver is not installed, or no connection can be made.
    """

    def __init__(self, url: str, schema: str) -> None:
        super().__init__(NAME, schema, "TIKTOK_POSTGRES_SCHEMA")
        try:
            import psycopg2  # noqa: PLC0415 - an optional extra
        except ImportError:
            raise DestinationError(
                "postgres: the module psycopg2 is missing; run pip install 'tiktok-assets[postgres]'"
            ) from None
        self._driver = psycopg2
        parts = urlsplit(url)
        self._user = parts.username or "the default user"
        self._server = f"{parts.hostname}:{parts.port or 5432}"
        self._database = parts.path.strip("/")
        with self._explained():
            self._connection: psycopg2.extensions.connection = psycopg2.connect(url, **_PARAMETERS)
        encoding = self._connection.get_parameter_status("server_encoding")
        if encoding != "UTF8":
            self.close()
            raise DestinationError(
                f"postgres: the database {self._database} at {self._server} has the encoding {encoding}, which"
                " cannot hold every name; create one with ENCODING 'UTF8'"
            )

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Open a transaction."""
        with self._explained(), self._connection:
            self.execute(f"SET LOCAL lock_timeout = '{_LOCK_SECONDS}s'")
            self.execute("SET LOCAL search_path = pg_catalog")
            yield

    def query(self, statement: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Execute a statement and return its rows."""
        with self._connection.cursor() as cursor:
            cursor.execute(_to_driver(statement), parameters)
            rows: list[tuple[Any, ...]] = cursor.fetchall()
            return rows

    def execute(self, statement: str, parameters: Sequence[Any] = ()) -> None:
        """Execute a statement."""
        with self._connection.cursor() as cursor:
            cursor.execute(_to_driver(statement), parameters or None)

    def insert(self, table: str, rows: pl.DataFrame) -> None:
        """Insert rows by `COPY`, as CSV: an empty value is null there, and an empty text is in quotes."""
        content = io.BytesIO()
        rows.with_columns(_INSTANT.dt.to_string("%Y-%m-%d %H:%M:%S%.6f+00")).write_csv(
            content, include_header=False, null_value="", quote_style="necessary"
        )
        content.seek(0)
        names = ", ".join(map(quote_name, rows.columns))
        with self._connection.cursor() as cursor:
            cursor.copy_expert(f"COPY {table} ({names}) FROM STDIN (FORMAT csv)", content)

    def lock(self) -> None:
        """Let one transaction publish to the schema at a time; the lock ends with it."""
        self.query("SELECT pg_advisory_xact_lock(hashtext('tiktok_assets'), hashtext(?))", [self._schema])

    def comments(self, table: str) -> Mapping[str, str]:
        """Return the comments of a table and its columns."""
        rows = self.query(
            "SELECT coalesce(a.attname, ''), d.description FROM pg_description AS d"
            " LEFT JOIN pg_attribute AS a ON a.attrelid = d.objoid AND a.attnum = d.objsubid AND d.objsubid > 0"
            " WHERE d.classoid = 'pg_class'::regclass AND d.objoid = to_regclass(?)",
            [self._quote(table)],
        )
        return dict(rows)

    def create_index(self, table: PublishedTable) -> None:
        """Create the index by which the rows of a partition are found."""
        if table.partitioned_by:
            columns = ", ".join(map(quote_name, table.partitioned_by))
            self.execute(f"CREATE INDEX ON {self._quote(table.name)} ({columns})")

    def summary_expressions(self) -> Mapping[type[pl.DataType], str]:
        """Return the sums in the SQL of Postgres."""
        return _SUMS

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """Turn errors of the driver into one sentence without password and values."""
        try:
            yield
        except self._driver.Error as error:
            raise DestinationError(f"postgres: {self._explain(error)}") from None

    def _explain(self, error: "psycopg2.Error") -> str:  # noqa: PLR0911 - one sentence for each cause
        text = str(error).strip()
        code, place = error.pgcode or "", f"{self._database} at {self._server}"
        first = error.diag.message_primary or (text.splitlines() or [type(error).__name__])[0]
        first = first.rpartition("failed: ")[2].removeprefix("FATAL:  ")
        if "password authentication failed" in text or "no password supplied" in text or code.startswith("28"):
            return f"{self._server} refuses the password of {self._user}; correct it in TIKTOK_POSTGRES_URL"
        if "no pg_hba.conf entry" in text:
            return (
                f"{self._server} does not let {self._user} in from this host; its pg_hba.conf must allow it,"
                " perhaps with ?sslmode=require in TIKTOK_POSTGRES_URL"
            )
        if code == "3D000" or ("database" in text and "does not exist" in text):
            return f"there is no database {place}; create it or correct TIKTOK_POSTGRES_URL"
        if code == "42501":
            return (
                f"{self._user} has no permission in {place} ({first}); GRANT CREATE ON DATABASE {self._database}"
                f" TO {self._user}, or let it own the schema {self._schema}"
            )
        if code == "55P03":
            return f"another session holds a lock on a table of {self._schema} in {place}; publish again later"
        if isinstance(error, self._driver.OperationalError | self._driver.InterfaceError):
            return (
                f"the server {self._server} cannot be reached or has ended the connection ({first.rstrip('.')});"
                " check that it runs and TIKTOK_POSTGRES_URL. What is not published yet is published next time"
            )
        return f"{place} refuses a statement ({first}); nothing of that transaction was published"


def _to_driver(statement: str) -> str:
    return statement.replace("%", "%%").replace("?", "%s")
