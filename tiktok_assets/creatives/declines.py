"""Record the declines of creatives in the state, each once, in one transaction with its alert."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from hashlib import sha256
from typing import Any

import polars as pl
import sqlalchemy as sa

from tiktok_assets.alerts import ALERTS_FOLDER, AlertPicture, draw_picture, enqueue, list_channels, write_picture
from tiktok_assets.creatives.fatigue import (
    Decline,
    Thresholds,
    find_declines,
    find_replacement,
    measure_recent_rates,
    select_closed_days,
)
from tiktok_assets.creatives.fatigue_alert import build_fatigue_alert
from tiktok_assets.creatives.fatigue_picture import build_fatigue_picture
from tiktok_assets.creatives.rate_comparison import WINDOW_DAYS
from tiktok_assets.settings import Settings
from tiktok_assets.spec import Column
from tiktok_assets.storage import State, creative_declines
from tiktok_assets.tables import build_schema

CREATIVE_DECLINES = "creative_declines"

DECLINING, RECOVERED, STOPPED = "declining", "recovered", "stopped"

MAX_TOLD_AGE = timedelta(days=28)
"""A decline that began longer ago is recorded without an alert: a first refresh does not report the past."""

DECLINES_COLUMNS: tuple[Column, ...] = (
    Column("advertiser_id", "", "id", "the ad account"),
    Column("decline_id", "", "id", "the decline; also the id of its alert"),
    Column("creative_id", "", "id", "the creative, as in `creatives`"),
    Column("creative_kind", "", "text", "video, post, images or ad"),
    Column("creative_name", "", "text", "its name when the decline was found"),
    Column("currency", "", "text", "ISO 4217; every amount of the row is in it"),
    Column("metric", "", "text", "the rate that fell most clearly: hook_rate or ctr"),
    Column("best_from", "", "day", "the first of the creative's best seven days"),
    Column("best_rate", "", "rate", "the rate over its best seven days"),
    Column("recent_from", "", "day", "the first of the last seven complete days when the decline was found"),
    Column("recent_rate", "", "rate", "the rate over these seven days"),
    Column("drop", "", "ratio", "by which share the rate fell"),
    Column("since", "", "day", "the first day of the lower rate, most likely"),
    Column("z", "", "ratio", "by how many standard errors the rate fell"),
    Column("z_threshold", "", "ratio", "how many were needed"),
    Column("best_spend", "", "money", "spend of the best seven days"),
    Column("recent_spend", "", "money", "spend of the last seven days"),
    Column("best_impressions", "", "count", "impressions of the best seven days"),
    Column("recent_impressions", "", "count", "impressions of the last seven days"),
    Column("replacement_id", "", "id", "the other creative whose spend rose most; null if none rose"),
    Column("replacement_name", "", "text", "its name"),
    Column("replacement_spend_before", "", "money", "its spend in the best seven days of the fallen one"),
    Column("replacement_spend", "", "money", "its spend in the last seven days"),
    Column("found_on", "", "day", "the last complete day when the decline was found"),
    Column("found_at", "", "instant", "when the decline was found"),
    Column("is_told", "", "flag", "whether an alert was sent; not for declines that began 28 days before"),
    Column("status", "", "text", "declining, recovered, or stopped if it did not spend in the last seven days"),
    Column("recovered_on", "", "day", "the last complete day when the rate was high again; null until then"),
    Column("fetched_at", "", "instant", "when the newest day of the creative was read"),
)
DECLINES_SCHEMA = build_schema(DECLINES_COLUMNS)

_DECLINES = creative_declines.c
_FACTS = tuple(column.name for column in DECLINES_COLUMNS[2:23])

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class CreativeHistory:
    """What is known about the creatives of an account.

    Attributes:
        advertiser_id: the account.
        advertiser_name: its name, if known.
        days: rows of `creative_daily`.
        names: the names of the creatives by id.
        complete_days: the newest consecutive complete days.
        read_thumbnail: returns the file of a creative's thumbnail by its id, if there is one.
    """

    advertiser_id: str
    advertiser_name: str | None
    days: pl.DataFrame
    names: Mapping[str, str | None]
    complete_days: Sequence[date]
    read_thumbnail: Callable[[str], bytes | None] = lambda _: None


def record_declines(state: State, settings: Settings, history: CreativeHistory, now: datetime) -> pl.DataFrame:
    """Record new declines with their alerts, and recoveries; running it again for the same days adds nothing.

    A creative in decline is reported once. After it has recovered, another decline is a new one.

    Args:
        state: where declines and alerts are written.
        settings: the thresholds and the alert channels.
        history: the account.
        now: aware.

    Returns:
        The rows of `creative_declines` of the account, the newest first.
    """
    thresholds = Thresholds.from_settings(settings)
    closed = select_closed_days(history.days, history.complete_days)
    last = max(history.complete_days, default=None)
    rates: Mapping[str, Mapping[str, float]] = {}
    with state.transaction() as connection:
        known = _read_declines(connection, history.advertiser_id)
    if last is not None and len(history.complete_days) >= WINDOW_DAYS:
        rates = measure_recent_rates(closed, last)
        # Decided before the writing transaction, which blocks others.
        recovered = [row for row in known if row["found_on"] < last and has_recovered(row, rates, thresholds)]
        ended = {row["creative_id"]: row["recovered_on"] for row in known if row["recovered_on"]}
        ended |= {row["creative_id"]: last for row in recovered}
        first_days = {creative: day - timedelta(WINDOW_DAYS - 1) for creative, day in ended.items()}
        in_decline = {row["creative_id"] for row in known if not row["recovered_on"]}
        in_decline -= {row["creative_id"] for row in recovered}
        found = [
            _describe_decline(decline, history, closed, now)
            for decline in find_declines(closed, last, thresholds, first_days)
            if decline.creative_id not in in_decline
        ]
        with state.transaction() as connection:
            for row in recovered:
                is_same = (_DECLINES.decline_id == row["decline_id"]) & _DECLINES.recovered_on.is_(None)
                connection.execute(sa.update(creative_declines).where(is_same).values(recovered_on=last))
            _insert_declines(connection, settings, history, found)
            known = _read_declines(connection, history.advertiser_id)
    spending = {one for one, row in rates.items() if row["spend"] > 0}
    read_at = dict(history.days.group_by("creative_id").agg(pl.col("fetched_at").max()).iter_rows())
    return build_declines_table(known, spending, read_at)


def has_recovered(row: Row, rates: Mapping[str, Mapping[str, float]], thresholds: Thresholds) -> bool:
    """Return whether the rate of an open decline has made up for half of the smallest fall that counts."""
    recent = rates.get(row["creative_id"], {})
    rate = recent.get(row["facts"]["metric"])
    if row["recovered_on"] or rate is None or recent["spend"] < thresholds.min_spend:
        return False
    best: float = row["facts"]["best_rate"]
    return rate >= best * (1 - thresholds.min_drop / 2)


@dataclass(frozen=True, slots=True)
class _NewDecline:
    """A decline that is not recorded yet: its row of the state without id, its picture, and that as a file."""

    row: dict[str, Any]
    picture: AlertPicture
    drawn: bytes


def _insert_declines(
    connection: sa.Connection, settings: Settings, history: CreativeHistory, found: Iterable[_NewDecline]
) -> None:
    """Insert the declines of creatives that are in none, each with its alert."""
    known = _read_declines(connection, history.advertiser_id)
    counts = Counter(row["creative_id"] for row in known)
    in_decline = {row["creative_id"] for row in known if not row["recovered_on"]}
    for one in found:
        creative_id = one.row["creative_id"]
        if creative_id in in_decline:
            continue
        in_decline.add(creative_id)
        number = counts[creative_id]
        decline_id = compute_decline_id(history.advertiser_id, creative_id, number)
        connection.execute(
            sa.insert(creative_declines).values({**one.row, "decline_id": decline_id, "number": number})
        )
        if one.row["is_told"]:
            alert = build_fatigue_alert(decline_id, one.row["facts"], settings, one.picture)
            # Before the commit, after which the alert may be delivered at any time.
            write_picture(settings.state_dir / ALERTS_FOLDER, decline_id, one.drawn)
            enqueue(connection, alert, list_channels(settings), one.row["found_at"])


def _describe_decline(
    decline: Decline, history: CreativeHistory, closed: pl.DataFrame, now: datetime
) -> _NewDecline:
    last, facts = max(history.complete_days), _build_facts(decline, history, closed)
    row = {
        "advertiser_id": history.advertiser_id,
        "creative_id": decline.creative_id,
        "found_on": last,
        "found_at": now,
        "is_told": last - decline.since < MAX_TOLD_AGE,
        "facts": facts,
    }
    picture = build_fatigue_picture(facts, closed, history.read_thumbnail(decline.creative_id))
    return _NewDecline(row, picture, draw_picture(picture))


def compute_decline_id(advertiser_id: str, creative_id: str, number: int) -> str:
    """Compute the id of a creative's decline, counted from 0, the same at any time on any machine."""
    return sha256(f"{advertiser_id}:{creative_id}:{number}".encode()).hexdigest()[:16]


def _build_facts(decline: Decline, history: CreativeHistory, closed: pl.DataFrame) -> dict[str, Any]:
    replacement = find_replacement(closed, decline)
    other, before, after = replacement or (None, None, None)
    values = {
        **{name: getattr(decline, name) for name in _FACTS if hasattr(decline, name)},
        "creative_name": history.names.get(decline.creative_id),
        "replacement_id": other,
        "replacement_name": history.names.get(other) if other else None,
        "replacement_spend_before": before,
        "replacement_spend": after,
        "advertiser_id": history.advertiser_id,
        "advertiser_name": history.advertiser_name,
        "other_best_rate": decline.other_rates[0] if decline.other_rates else None,
        "other_recent_rate": decline.other_rates[1] if decline.other_rates else None,
    }
    return {name: str(value) if isinstance(value, Decimal | date) else value for name, value in values.items()}


def _read_declines(connection: sa.Connection, advertiser_id: str) -> list[dict[str, Any]]:
    query = (
        sa.select(creative_declines)
        .where(_DECLINES.advertiser_id == advertiser_id)
        .order_by(_DECLINES.number, _DECLINES.decline_id)
    )
    return [dict(row) for row in connection.execute(query).mappings()]


def build_declines_table(
    rows: Iterable[Row], spending: set[str], read_at: Mapping[str, datetime | None]
) -> pl.DataFrame:
    """Build the rows of `creative_declines`, the newest first.

    Args:
        rows: of the state.
        spending: the creatives that spent in the last seven complete days.
        read_at: by creative when its newest day was read.
    """
    frame = pl.DataFrame(
        [{**_build_row(row, spending), "fetched_at": read_at.get(row["creative_id"])} for row in rows],
        DECLINES_SCHEMA,
    )
    return frame.sort("found_on", "recent_spend", "decline_id", descending=[True, True, False])


def _build_row(row: Row, spending: set[str]) -> dict[str, Any]:
    facts = {name: _parse_fact(name, row["facts"].get(name)) for name in _FACTS}
    status = RECOVERED if row["recovered_on"] else DECLINING if row["creative_id"] in spending else STOPPED
    own = ("advertiser_id", "decline_id", "creative_id", "found_on", "found_at", "is_told", "recovered_on")
    return {**facts, **{name: row[name] for name in own}, "status": status}


def _parse_fact(name: str, value: object) -> object:
    """Convert a JSON value back to the type of its column."""
    dtype = DECLINES_SCHEMA[name]
    if value is None:
        return None
    if dtype == pl.Date():
        return date.fromisoformat(str(value))
    return Decimal(str(value)) if isinstance(dtype, pl.Decimal) else value
