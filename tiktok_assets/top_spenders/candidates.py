"""Build the table `duplication_candidates`: flagged ads and held ads with the reason."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import polars as pl
import sqlalchemy as sa

from tiktok_assets.settings import Settings
from tiktok_assets.spec.columns import Column
from tiktok_assets.storage.hive_store import HiveStore
from tiktok_assets.storage.state import State, flags
from tiktok_assets.tables.frames import build_schema
from tiktok_assets.top_spenders.flags import assess_ads

CANDIDATES_COLUMNS: tuple[Column, ...] = (
    Column("advertiser_id", "", "id", "the ad account"),
    Column("campaign_id", "", "id", "the campaign"),
    Column("campaign_name", "", "text", "the campaign's name"),
    Column("currency", "", "text", "ISO 4217; every amount of the row is in it"),
    Column("ad_id", "", "id", "an ad that began to lead the campaign after its first look"),
    Column("ad_name", "", "text", "its name"),
    Column("ad_group_id", "", "id", "its ad group"),
    Column("status", "", "text", "flagged, held, or due: nothing holds it back and it is about to be flagged"),
    Column("guardrails", "", "text", "the guardrails that hold it back, by name, comma-separated"),
    Column("reason", "", "text", "why it is held back, in words"),
    Column("flag_id", "", "text", "the id of its flag and of its alert"),
    Column("flagged_at", "", "instant", "when it was flagged"),
    Column("previous_ad_id", "", "id", "the ad that led before it"),
    Column("leads_since", "", "instant", "when it was first seen in the lead, of its last time there"),
    Column("spend", "", "money", "its lifetime spend: when flagged, now while it leads, or when it began to lead"),
    Column("campaign_spend", "", "money", "the campaign's lifetime spend then"),
    Column("share", "", "ratio", "spend divided by the campaign's spend"),
    Column("runner_up_ad_id", "", "id", "the ad that came second then"),
    Column("runner_up_spend", "", "money", "its lifetime spend"),
    Column("lead", "", "ratio", "by which part of the runner-up's spend it was ahead"),
    Column("fetched_at", "", "instant", "when the lifetime report of these numbers was read"),
)
CANDIDATES_SCHEMA = build_schema(CANDIDATES_COLUMNS)


def build_candidates_table(
    state: State, store: HiveStore, settings: Settings, now: datetime, advertiser_ids: Sequence[str]
) -> pl.DataFrame:
    """The rows of some accounts, sorted by their key: one for each campaign and ad, flagged or not.

    Args:
        state: with flags and changes of leader.
        store: with the tables the guardrails look at.
        settings: the guardrails' limits.
        now: aware.
        advertiser_ids: whose rows.
    """
    with state.transaction() as connection:
        told = connection.execute(
            sa.select(flags).where(flags.c.advertiser_id.in_(list(advertiser_ids)))
        ).mappings()
        rows = [
            {**row["facts"], "status": "flagged", "flag_id": row["flag_id"], "flagged_at": row["flagged_at"]}
            for row in told
        ]
    flagged = {row["flag_id"] for row in rows}
    for one in assess_ads(state, store, settings, now, advertiser_ids):
        if one.flag_id in flagged:
            continue  # flagged between the two looks
        names = ",".join(hold.guardrail for hold in one.holds)
        status = {
            "status": "held" if one.holds else "due",
            "guardrails": names or None,
            "reason": one.reason or None,
        }
        rows.append({**one.facts, **status, "flag_id": one.flag_id, "flagged_at": None})
    frame = pl.DataFrame([_typed(row) for row in rows], CANDIDATES_SCHEMA)
    return frame.sort("advertiser_id", "campaign_id", "ad_id")


def _typed(row: Mapping[str, Any]) -> dict[str, Any]:
    """The columns of a row, with what was JSON text as the value it stands for."""
    return {column.name: _value(column, row.get(column.name)) for column in CANDIDATES_COLUMNS}


def _value(column: Column, value: Any) -> Any:  # noqa: ANN401 - JSON in, a cell out
    if not isinstance(value, str):
        return value
    if column.kind == "money":
        return Decimal(value)
    if column.kind == "instant":
        return datetime.fromisoformat(value)
    return date.fromisoformat(value) if column.kind == "day" else value
