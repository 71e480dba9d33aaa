"""Record when the leading ad of a campaign changes; replaying a report adds nothing."""

from collections.abc import Iterable, Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import polars as pl
import sqlalchemy as sa

from tiktok_assets.storage import State, top_spender_changes
from tiktok_assets.tables import INSTANT

_CHANGES = top_spender_changes.c
_CAMPAIGN_KEY = ("advertiser_id", "campaign_id")


def record_leader_changes(state: State, leaders: pl.DataFrame) -> pl.DataFrame:
    """Insert a row for each campaign whose leader changed, in one transaction, and add `leads_since`.

    A campaign's first leader is its baseline, without a previous one. A report that is not newer than the newest
    change of its campaign adds nothing, so replays are harmless.

    Args:
        state: the state database.
        leaders: rows of `top_spenders`.

    Returns:
        The same rows with `leads_since`; null where an old report has another leader than the newest change.
    """
    rows = leaders.sort(_CAMPAIGN_KEY).to_dicts()
    with state.transaction() as connection:
        newest = read_newest_changes(connection, set(leaders.get_column("advertiser_id")))
        new = []
        for row in rows:
            before = newest.get((row["advertiser_id"], row["campaign_id"]))
            if before and (row["fetched_at"] <= before["observed_at"] or row["ad_id"] == before["ad_id"]):
                continue
            change = {
                "advertiser_id": row["advertiser_id"],
                "campaign_id": row["campaign_id"],
                "ad_id": row["ad_id"],
                "previous_ad_id": before["ad_id"] if before else None,
                "observed_at": row["fetched_at"],
            }
            new.append({**change, "facts": to_json_values(row)})
            newest[row["advertiser_id"], row["campaign_id"]] = change
        if new:
            connection.execute(sa.insert(top_spender_changes), new)
    since = [
        {"advertiser_id": a, "campaign_id": c, "ad_id": change["ad_id"], "leads_since": change["observed_at"]}
        for (a, c), change in newest.items()
    ]
    schema = dict.fromkeys((*_CAMPAIGN_KEY, "ad_id"), pl.String()) | {"leads_since": INSTANT}
    return (
        leaders.drop("leads_since")
        .join(pl.DataFrame(since, schema), on=[*_CAMPAIGN_KEY, "ad_id"], how="left", maintain_order="left")
        .select(leaders.columns)
    )


def read_newest_changes(
    connection: sa.Connection, advertiser_ids: Iterable[str]
) -> dict[tuple[str, str], Mapping[str, Any]]:
    """Read the newest change of each campaign (with `ad_id`, `observed_at`), by advertiser and campaign."""
    newest = (
        sa.select(_CHANGES.advertiser_id, _CHANGES.campaign_id, sa.func.max(_CHANGES.observed_at).label("at"))
        .where(_CHANGES.advertiser_id.in_(list(advertiser_ids)))
        .group_by(_CHANGES.advertiser_id, _CHANGES.campaign_id)
        .subquery()
    )
    rows = connection.execute(
        sa.select(_CHANGES.advertiser_id, _CHANGES.campaign_id, _CHANGES.ad_id, _CHANGES.observed_at).join(
            newest,
            (_CHANGES.advertiser_id == newest.c.advertiser_id)
            & (_CHANGES.campaign_id == newest.c.campaign_id)
            & (_CHANGES.observed_at == newest.c.at),
        )
    ).mappings()
    return {(row["advertiser_id"], row["campaign_id"]): dict(row) for row in rows}


def to_json_values(row: Mapping[str, Any]) -> dict[str, Any]:
    """Convert a row to JSON values: exact amounts, days and instants become text."""
    return {name: _to_json_value(value) for name, value in row.items()}


def _to_json_value(value: object) -> object:
    if isinstance(value, Decimal):
        return str(value)
    return value.isoformat() if isinstance(value, datetime | date) else value
