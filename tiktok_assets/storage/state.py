"""Store the transactional state, which must not be lost or processed twice, in one database through SQLAlchemy.

The rows outlive the Dagster instance. Exactly-once rules are unique keys of this database.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from decimal import Decimal

import sqlalchemy as sa
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from tiktok_assets.file_permissions import UnsafeLocationError
from tiktok_assets.storage.engine import create_missing_tables, open_engine
from tiktok_assets.storage.parquet_store import StoreError


def utc_now() -> datetime:
    """Return the current instant of this machine's clock, which leases and deliveries use, as aware UTC."""
    return datetime.now(UTC)


class Instant(sa.TypeDecorator[datetime]):
    """A column type for aware instants, stored as UTC text of fixed width, so that they sort."""

    impl = sa.String(32)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: sa.Dialect) -> str | None:  # noqa: ARG002
        """Convert an aware instant to text."""
        return None if value is None else value.astimezone(UTC).isoformat(timespec="microseconds")

    def process_result_value(self, value: str | None, dialect: sa.Dialect) -> datetime | None:  # noqa: ARG002
        """Convert text to an aware instant."""
        return None if value is None else datetime.fromisoformat(value)


class Money(sa.TypeDecorator[Decimal]):
    """A column type for exact amounts, stored as text, because SQLite would convert them to floats."""

    impl = sa.String(40)
    cache_ok = True

    def process_bind_param(self, value: Decimal | None, dialect: sa.Dialect) -> str | None:  # noqa: ARG002
        """Convert an amount to text."""
        return None if value is None else str(value)

    def process_result_value(self, value: str | None, dialect: sa.Dialect) -> Decimal | None:  # noqa: ARG002
        """Convert text to an exact amount."""
        return None if value is None else Decimal(value)


TABLES = sa.MetaData()
_ID, _NAME, _CODE, _HASH = sa.String(32), sa.String(1024), sa.String(32), sa.String(64)

report_timeouts = sa.Table(
    "report_timeouts",
    TABLES,
    sa.Column("query", _HASH, primary_key=True, doc="sha256 of path and parameters"),
    sa.Column("at", Instant, primary_key=True),
)
"""Timeouts of reports; TikTok blocks a query after its third timeout within ten minutes."""

report_tasks = sa.Table(
    "report_tasks",
    TABLES,
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("advertiser_id", _ID, nullable=False),
    sa.Column("created_at", Instant, nullable=False),
)
"""Report tasks that were created since yesterday; TikTok limits them per day and per hour."""

top_spender_changes = sa.Table(
    "top_spender_changes",
    TABLES,
    sa.Column("change_id", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("advertiser_id", _ID, nullable=False),
    sa.Column("campaign_id", _ID, nullable=False),
    sa.Column("ad_id", _ID, nullable=False),
    sa.Column("previous_ad_id", _ID, doc="null on a campaign's first row, its baseline"),
    sa.Column("observed_at", Instant, nullable=False, doc="fetched_at of the lifetime report"),
    sa.Column("facts", sa.JSON, nullable=False, doc="the row of `top_spenders` as text"),
    sa.UniqueConstraint("advertiser_id", "campaign_id", "observed_at"),
)
"""Changes of the top spender of a campaign, one row per change; repeated runs add no rows."""

flags = sa.Table(
    "flags",
    TABLES,
    sa.Column("flag_id", _HASH, primary_key=True, doc="also the id of its alert"),
    sa.Column("advertiser_id", _ID, nullable=False),
    sa.Column("campaign_id", _ID, nullable=False),
    sa.Column("ad_id", _ID, nullable=False),
    sa.Column("flagged_at", Instant, nullable=False),
    sa.Column("facts", sa.JSON, nullable=False, doc="the numbers it was flagged for"),
    sa.UniqueConstraint("advertiser_id", "campaign_id", "ad_id"),
)
"""Ads that were flagged as new top spenders, at most once per campaign and ad."""

creative_declines = sa.Table(
    "creative_declines",
    TABLES,
    sa.Column("decline_id", _HASH, primary_key=True, doc="also the id of its alert"),
    sa.Column("advertiser_id", _ID, nullable=False),
    sa.Column("creative_id", _NAME, nullable=False),
    sa.Column("number", sa.Integer, nullable=False, doc="of the creative's declines, from 0"),
    sa.Column("found_on", sa.Date, nullable=False, doc="the last complete day then"),
    sa.Column("found_at", Instant, nullable=False),
    sa.Column("is_told", sa.Boolean, nullable=False, doc="whether an alert was written with it"),
    sa.Column("recovered_on", sa.Date, doc="null until the rate is high again"),
    sa.Column("facts", sa.JSON, nullable=False, doc="the numbers it was found by"),
    sa.UniqueConstraint("advertiser_id", "creative_id", "number"),
)
"""Creatives whose hook rate or click rate fell, one row per decline."""

outbox = sa.Table(
    "outbox",
    TABLES,
    sa.Column("alert_id", _HASH, primary_key=True),
    sa.Column("destination", _HASH, primary_key=True, doc="hash of the URL, which is a secret; or `folder`"),
    sa.Column(
        "kind", _CODE, nullable=False, doc="new_top_spender, creative_fatigue, run_failure, check_failure, ..."
    ),
    sa.Column("message", sa.JSON, nullable=False),
    sa.Column("created_at", Instant, nullable=False),
    sa.Column("status", _CODE, nullable=False, doc="waiting, sending, delivered, delivered_unknown, given_up"),
    sa.Column("attempts", sa.Integer, nullable=False, default=0),
    sa.Column("unknown_outcomes", sa.Integer, nullable=False, default=0),
    sa.Column("sending_since", Instant),
    sa.Column("next_at", Instant, nullable=False),
    sa.Column("delivered_at", Instant),
    sa.Column("last_error", sa.Text),
)
"""Messages to deliver, one row per alert and destination."""

reported_runs = sa.Table(
    "told_runs",
    TABLES,
    sa.Column("run_id", _HASH, primary_key=True),
    sa.Column(
        "alert_id", _HASH, nullable=False, doc="the message that contains it; changes while that is not sent"
    ),
    sa.Column("job", sa.Text, nullable=False),
    sa.Column("step", sa.Text),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("failed_at", Instant, nullable=False),
)
"""Failed runs that were reported, each once; several can share one message."""

duplications = sa.Table(
    "duplications",
    TABLES,
    sa.Column("duplication_key", _HASH, primary_key=True),
    sa.Column("advertiser_id", _ID, nullable=False),
    sa.Column("ad_id", _ID, nullable=False, doc="the original"),
    sa.Column("campaign_id", _ID, nullable=False, doc="the target campaign"),
    sa.Column("ad_group_id", _ID, doc="the target ad group; null to duplicate the source's"),
    sa.Column("again", sa.Integer, nullable=False, default=0),
    sa.Column("enable", sa.Boolean, nullable=False, default=False),
    sa.Column("budget", Money),
    sa.Column("currency", sa.String(3)),
    sa.Column("added_budget", Money, doc="what it adds to daily budgets, for the limit"),
    sa.Column("status", _CODE, nullable=False, doc="started, done, refused"),
    sa.Column("reason", sa.Text),
    sa.Column("flag_id", _HASH),
    sa.Column("started_at", Instant, nullable=False),
    sa.Column("done_at", Instant),
    sa.Column("approved_how", _CODE, doc="code, terminal, yes, execute; null if started by an earlier version"),
    sa.Column("approved_by", sa.Text, doc="the run and its tags, or the user and host of the command line"),
    sa.Column("approved_at", Instant),
    sa.Column("approval_id", _HASH, doc="the approval that was used; null if a person confirmed on a terminal"),
    sa.Column("target_kind", _CODE, doc="manual or smart_plus; null until planned, or of an earlier version"),
    sa.Column("undo_started_at", Instant, doc="from then on nothing more is created for it"),
    sa.Column("undone_at", Instant),
    sa.Column("undone_by", sa.Text),
    sa.Column("undo_result", sa.Text, doc="what was switched off or deleted"),
)
"""The ledger of duplications, one row per duplication, written before its first request."""

duplication_steps = sa.Table(
    "duplication_steps",
    TABLES,
    sa.Column("duplication_key", _HASH, sa.ForeignKey("duplications.duplication_key"), primary_key=True),
    sa.Column("step", _CODE, primary_key=True, doc="ad_group, ad"),
    sa.Column("target", _ID, doc="the parent, a campaign or an ad group; null until it is created"),
    sa.Column(
        "marker", _CODE, nullable=False, doc="suffix of the object's name, to find it after a lost response"
    ),
    sa.Column("request", sa.Text, nullable=False, doc="the exact body of the request; contains no token"),
    sa.Column("sent_at", Instant, doc="set before the request is sent"),
    sa.Column("attempts", sa.Integer, nullable=False, default=0),
    sa.Column("object_id", _ID, doc="set once the object is known to exist"),
    sa.Column("made_at", Instant),
    sa.Column("request_id", sa.String(64)),
)
"""The objects of each duplication, with the request that creates them and its result."""

duplication_snapshots = sa.Table(
    "duplication_snapshots",
    TABLES,
    sa.Column("duplication_key", _HASH, sa.ForeignKey("duplications.duplication_key"), primary_key=True),
    sa.Column("role", _CODE, primary_key=True, doc="source ad, source ad_group, created ad, ..."),
    sa.Column("object_id", _ID),
    sa.Column("taken_at", Instant, nullable=False),
    sa.Column("content", sa.Text, nullable=False, doc="the object as TikTok returned it, as JSON"),
)
"""The objects that a duplication read, as they were when it was planned, and those it created."""

approvals = sa.Table(
    "approvals",
    TABLES,
    sa.Column("approval_id", _HASH, primary_key=True, doc="sha256 of the code"),
    sa.Column("alert_id", _HASH, nullable=False, doc="also the id of the flag; `execute` for a run of that mode"),
    sa.Column("advertiser_id", _ID, nullable=False),
    sa.Column("ad_id", _ID, nullable=False),
    sa.Column("campaign_id", _ID, nullable=False),
    sa.Column("ad_group_id", _ID),
    sa.Column("budget", Money, doc="null for the source's"),
    sa.Column("again", sa.Integer, nullable=False, default=0),
    sa.Column("issued_at", Instant, nullable=False),
    sa.Column("expires_at", Instant, nullable=False),
    sa.Column("used_for", _HASH, doc="the duplication it was used for"),
    sa.Column("used_at", Instant),
    sa.Column("used_by", sa.Text),
)
"""Approvals of live duplications, each for one duplication until it expires; only its code's hash is stored."""

wrong_codes = sa.Table(
    "wrong_codes",
    TABLES,
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("at", Instant, nullable=False),
    sa.Column("by", sa.Text, nullable=False),
)
"""Attempts with codes that were never issued, to limit guessing."""

secret_keys = sa.Table(
    "keys",
    TABLES,
    sa.Column("name", _CODE, primary_key=True),
    sa.Column("key", _HASH, nullable=False, doc="64 hexadecimal digits, generated once"),
)
"""Secret keys, shared by all hosts that use this state."""

leases = sa.Table(
    "leases",
    TABLES,
    sa.Column("name", sa.String(128), primary_key=True),
    sa.Column("owner", _HASH, nullable=False),
    sa.Column("until", Instant, nullable=False),
)
"""Leases with their owner; an expired lease can be acquired by another owner."""


class StateError(StoreError):
    """The state cannot be opened; nothing was done that would have to be recorded in it."""


class State:
    """The database of the state, with its tables created on first use; safe to share between threads.

    Args:
        url: the database URL in the form of SQLAlchemy; see `Settings.state_database_url`.

    Raises:
        StateError: if the database cannot be opened; the message never contains the URL's password.
    """

    def __init__(self, url: str) -> None:
        try:
            parsed = make_url(url)
            self._url_without_password = parsed.render_as_string(hide_password=True)
            self._engine = open_engine(parsed)
            with self.transaction() as connection:
                create_missing_tables(connection, TABLES)
        except UnsafeLocationError as error:
            raise StateError(f"the state cannot be opened: {error.strerror}") from None
        except ImportError as error:
            raise StateError(
                f"the state cannot be opened: TIKTOK_STATE_URL needs the module {error.name}; for PostgreSQL run"
                " pip install 'tiktok-assets[postgres]'"
            ) from None
        except (OSError, ArgumentError, SQLAlchemyError) as error:
            raise StateError(
                f"the state cannot be opened ({type(error).__name__}); check TIKTOK_STATE_URL and TIKTOK_STATE_DIR"
            ) from None  # the cause may contain the URL with its password

    def __repr__(self) -> str:
        return f"State({self._url_without_password!r})"

    @contextmanager
    def transaction(self) -> Iterator[sa.Connection]:
        """Open a serialized transaction, so that what it reads stays valid until its commit."""
        with self._engine.begin() as connection:
            yield connection

    def close(self) -> None:
        """Close all connections."""
        self._engine.dispose()
