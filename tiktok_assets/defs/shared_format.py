"""Refuse to run beside a newer version of this program that shares the state."""

from importlib.metadata import version

import sqlalchemy as sa
import stamina
from sqlalchemy.exc import SQLAlchemyError

from tiktok_assets.session import Session
from tiktok_assets.storage import State, StoreError

FORMAT = 2
"""The format of tables and state; to be raised by a release whose tables or state an earlier one would spoil.

2: days can be in the file of their month, and an earlier program takes them for never read.
"""

_program = sa.Table(
    "program",
    sa.MetaData(),
    sa.Column("number", sa.Integer, primary_key=True, doc="always 1: the table has one row"),
    sa.Column("format", sa.Integer, nullable=False, doc="the newest format of a host that ran"),
    sa.Column("version", sa.String(64), nullable=False, doc="the version of the program on that host"),
)


def require_shared_format(state: State) -> None:
    """Record the format of this program in the state, unless a host with a newer one has run.

    Raises:
        StoreError: if one has, or if the state cannot be read; nothing is written then.
    """
    try:
        # The first runs of several hosts may create the table at the same moment.
        for attempt in stamina.retry_context(on=SQLAlchemyError, attempts=5, wait_initial=0.2):
            with attempt, state.transaction() as connection:
                _require_format(connection)
    except SQLAlchemyError as error:
        raise StoreError(f"the state cannot be read ({type(error).__name__}); check TIKTOK_STATE_URL") from None


def _require_format(connection: sa.Connection) -> None:
    own = {"format": FORMAT, "version": version("tiktok-assets")}
    _program.create(connection, checkfirst=True)
    found = connection.execute(sa.select(_program.c.format, _program.c.version)).one_or_none()
    if found is None:
        connection.execute(_program.insert().values(number=1, **own))
    elif found.format > FORMAT:
        raise StoreError(
            f"version {found.version} of this program, with format {found.format}, uses the state in"
            f" TIKTOK_STATE_URL, and this host has {own['version']} with format {FORMAT}; install the same"
            " version on every host"
        )
    elif found.format < FORMAT:
        connection.execute(_program.update().values(**own))


def require_same_version(session: Session) -> None:
    """Do the same where several hosts share the state, that is, where TIKTOK_STATE_URL is set.

    Raises:
        StoreError: if a host with a newer format has run.
    """
    if session.settings.state_url:
        require_shared_format(session.state)
