"""Count report tasks in the state, so that all processes of the app stay within TikTok's limits."""

from collections.abc import Callable
from datetime import datetime, time, timedelta
from typing import TYPE_CHECKING

from tiktok_assets.spec import MAX_REPORT_TASKS_PER_ACCOUNT_AND_HOUR, MAX_REPORT_TASKS_PER_DAY

if TYPE_CHECKING:
    from tiktok_assets.storage.state import State


class StoredTaskLog:
    """A `TaskLog` in the table `report_tasks` of the state; safe to share between threads and hosts.

    Tasks count by the wall clock: those of the app since 00:00 UTC, those of an account within an hour.

    Args:
        open_state: opens the state; called when the first task is created.
        per_day: how many tasks the app may create a day.
        per_hour: how many it may create for an account within an hour.
    """

    def __init__(
        self,
        open_state: Callable[[], "State"],
        *,
        per_day: int = MAX_REPORT_TASKS_PER_DAY,
        per_hour: int = MAX_REPORT_TASKS_PER_ACCOUNT_AND_HOUR,
    ) -> None:
        self._open_state = open_state
        self._per_day, self._per_hour = per_day, per_hour

    def reserve(self, advertiser_id: str) -> str:
        """Count a task that is about to be created; return why it may not be, or ""."""
        import sqlalchemy as sa  # noqa: PLC0415 - imported late, because most commands create no task

        from tiktok_assets.storage.state import report_tasks, utc_now  # noqa: PLC0415 - as above

        created_at = report_tasks.c.created_at
        now = utc_now()
        midnight = datetime.combine(now.date(), time(), now.tzinfo)
        hour_ago = now - timedelta(hours=1)
        with self._open_state().transaction() as connection:
            connection.execute(report_tasks.delete().where(created_at < min(midnight, hour_ago)))
            count = sa.select(sa.func.count()).select_from(report_tasks)
            if (connection.scalar(count.where(created_at >= midnight)) or 0) >= self._per_day:
                return f"the app has created {self._per_day:,} report tasks today, which is TikTok's limit"
            of_account = count.where(created_at > hour_ago, report_tasks.c.advertiser_id == advertiser_id)
            if (connection.scalar(of_account) or 0) >= self._per_hour:
                return (
                    f"{self._per_hour:,} report tasks were created for account {advertiser_id} within an hour,"
                    " which is TikTok's limit"
                )
            connection.execute(report_tasks.insert().values(advertiser_id=advertiser_id, created_at=now))
        return ""
