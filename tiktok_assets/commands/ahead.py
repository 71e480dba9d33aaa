"""What `sync` asks while Dagster is being loaded, which takes a second or two."""

from collections.abc import Sequence
from datetime import UTC, datetime

from tiktok_assets.commands.asked import asked_advertisers, asked_window
from tiktok_assets.commands.problems import WrongUsage
from tiktok_assets.refresh.ahead import read_ahead
from tiktok_assets.session import Session
from tiktok_assets.spec.entities import ENTITIES


def ask_ahead(
    session: Session, advertisers: Sequence[str], first: str | None, last: str | None, select: str | None
) -> None:
    """Begin to read the first daily report that was asked for, where what to ask is certain.

    It is where accounts and days are named; a call that `sync` will refuse sends nothing.

    Raises:
        StoreError: if the tables cannot be written.
    """
    settings = session.settings
    if not first or not last or not settings.advertiser_ids:
        return
    daily = [report for report in settings.chosen_reports if report.cadence == "daily"]
    names = {name.strip() for name in (select or "").split(",") if name.strip()}
    known = {entity.table for entity in ENTITIES} | {report.table for report in settings.chosen_reports}
    wanted = [report for report in daily if not names or report.table in names]
    now = datetime.now(UTC)
    try:
        owners = asked_advertisers(advertisers, session.advertiser_ids)
        window = asked_window(first, last, start=settings.start_date, now=now)
    except WrongUsage:
        return
    if not wanted or not window or window.last > now.date() or not names <= known:
        return
    session.store.check_writable()
    read_ahead(session.reader, wanted[0], owners[0], window.days)
