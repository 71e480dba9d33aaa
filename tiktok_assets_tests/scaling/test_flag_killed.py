"""A process that flags and is killed at any statement leaves the flag, its alert and its code, or nothing."""

import os
import signal
from collections.abc import Callable
from multiprocessing import get_context
from pathlib import Path

import sqlalchemy as sa

from tiktok_assets.scaling.flags import flag
from tiktok_assets.settings import Settings
from tiktok_assets.storage.hive_parquet import HiveStore
from tiktok_assets.storage.state import State, approvals
from tiktok_assets_tests.scaling.leading import CAMPAIGN, MORNING, OWNER, account_at, count

FORKSERVER = "tiktok_assets_tests.scaling.leading"
PAIR = (OWNER, CAMPAIGN, "B")
POINTS = (
    *(f"{when} INSERT INTO {table}" for table in ("flags", "keys", "approvals") for when in ("before", "after")),
    "before INSERT INTO outbox",
    "before COMMIT",
)


def flag_until(settings: Settings, point: str) -> None:
    """Flag in this process, which does not survive the point; SQLAlchemy tells when it is reached."""

    def reached(name: str) -> None:
        if name == point:
            os.kill(os.getpid(), signal.SIGKILL)

    def told(when: str) -> Callable[..., None]:
        def tell(*arguments: object) -> None:
            reached(f"{when} {' '.join(str(arguments[2]).split()[:3])}")

        return tell

    state = State(settings.state_address)
    written: list[object] = []

    def committing(_: sa.Connection) -> None:
        if written:
            reached("before COMMIT")

    def inserted(*arguments: object) -> None:
        if str(arguments[2]).startswith("INSERT INTO outbox"):
            written.append(arguments)

    sa.event.listen(sa.Engine, "before_cursor_execute", told("before"))
    sa.event.listen(sa.Engine, "after_cursor_execute", told("after"))
    sa.event.listen(sa.Engine, "after_cursor_execute", inserted)
    sa.event.listen(sa.Engine, "commit", committing)
    flag(state, HiveStore(settings.data_dir), settings, PAIR, MORNING)
    reached("after COMMIT")


def test_killed_at_any_line_there_is_one_flag_with_one_alert_and_one_code(tmp_path: Path) -> None:
    """Killed before its commit there is nothing, after it all three; asked again there is one of each."""
    context = get_context("forkserver")
    context.set_forkserver_preload([FORKSERVER])
    for number, point in enumerate((*POINTS, "after COMMIT")):
        folder, target = tmp_path / str(number), {OWNER: "555"}
        with account_at(folder, scaling_mode="propose", scaling_campaigns=target) as account:
            account.has("AB")
            account.look({"A": 100, "B": 40})
            account.look({"A": 100, "B": 130})
            process = context.Process(target=flag_until, args=(account.settings, point))
            process.start()
            process.join(60)
            assert process.exitcode == -signal.SIGKILL, point
            left = int(point == "after COMMIT")
            assert (len(account.flagged), account.alerts, count(account.state, approvals)) == (left,) * 3, point
            account.flag_all()
            assert (account.flagged, account.alerts, count(account.state, approvals)) == (["B"], 1, 1), point
            assert account.flag_all() == []
