"""Build the table `duplication_candidates`: flagged ads and held ads with the reason."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import polars as pl
import sqlalchemy as sa

from tiktok_assets.settings import Settings
from tiktok_assets.spec import Column
from tiktok_assets.storage import HiveStore, State, flags
from tiktok_assets.tables import build_schema
from tiktok_assets.top_spenders.flags import assess_ads

CANDIDATES_COLUMNS: tuple[Column, ...] = (
    Column("advertiser_id", "", "id", "the ad account"),
    Column("campaign_id", "", "id", "the campaign"),
    Column("campaign_name", "", "text", "the campaign's name"),
    Column("currency", "", "text", "ISO 4217; every amount of the row is in it"),
    Column("ad_id", "", "id", "an ad that took the lead in the campaign from another ad"),
    Column("ad_name", "", "text", "its name"),
    Column("ad_group_id", "", "id", "its ad group"),
    Column(
        "status", "", "text", "flagged, held, or due: no guardrail holds it back and it is about to be flagged"
    ),
    Column("guardrails", "", "text", "the names of the guardrails that hold it back, comma-separated"),
    Column("reason", "", "text", "the reason it is held back"),
    Column("flag_id", "", "text", "the id of its flag and of its alert"),
    Column("flagged_at", "", "instant", "when it was flagged"),
    Column("previous_ad_id", "", "id", "the top spender before it"),
    Column("leads_since", "", "instant", "when it was first seen in the lead, in its latest period in the lead"),
    Column(
        "spend", "", "money", "its lifetime spend: when flagged, else now if it leads, else when it took the lead"
    ),
    Column("campaign_spend", "", "money", "the campaign's lifetime spend at that time"),
    Column("share", "", "ratio", "spend divided by the campaign's spend"),
    Column("runner_up_ad_id", "", "id", "the second ad by spend at that time"),
    Column("runner_up_spend", "", "money", "its lifetime spend"),
    Column("lead", "", "ratio", "spend above the runner-up's, divided by the runner-up's spend"),
    Column("fetched_at", "", "instant", "when the lifetime report of these numbers was read"),
    Column("ad_kind", "", "text", "the kind of the ad, see docs/flags.md; null where it is not in `ads`"),
    Column(
        "duplicable",
        "",
        "text",
        "yes, by hand or no: whether a duplication can create a copy; when flagged, else now if it leads",
    ),
    Column("duplication_reason", "", "text", "how the copy is made, or why none can be created"),
    Column("duplication_steps", "", "text", "what to do by hand instead; null if nothing can or need be done"),
)
CANDIDATES_SCHEMA = build_schema(CANDIDATES_COLUMNS)


def build_candidates_table(
    state: State, store: HiveStore, settings: Settings, now: datetime, advertiser_ids: Sequence[str]
) -> pl.DataFrame:
    """Build the rows of some accounts, sorted by their key: one for each flagged or held ad of a campaign.

    Args:
        state: contains flags and leader changes.
        store: contains the tables that the guardrails read.
        settings: the guardrails' limits.
        now: aware.
        advertiser_ids: the accounts.
    """
    with state.transaction() as connection:
        flagged = connection.execute(
            sa.select(flags).where(flags.c.advertiser_id.in_(list(advertiser_ids)))
        ).mappings()
        rows = [
            {**row["facts"], "status": "flagged", "flag_id": row["flag_id"], "flagged_at": row["flagged_at"]}
            for row in flagged
        ]
    flag_ids = {row["flag_id"] for row in rows}
    for assessment in assess_ads(state, store, settings, now, advertiser_ids):
        if assessment.flag_id in flag_ids:
            continue  # flagged between the two queries
        names = ",".join(hold.guardrail for hold in assessment.holds)
        status = {
            "status": "held" if assessment.holds else "due",
            "guardrails": names or None,
            "reason": assessment.reason or None,
        }
        rows.append({**assessment.facts, **status, "flag_id": assessment.flag_id, "flagged_at": None})
    frame = pl.DataFrame([_parse_row(row) for row in rows], CANDIDATES_SCHEMA)
    return frame.sort("advertiser_id", "campaign_id", "ad_id")


def _parse_row(row: Mapping[str, Any]) -> dict[str, Any]:
    """Parse the columns of a row from JSON values."""
    return {column.name: _parse_cell(column, row.get(column.name)) for column in CANDIDATES_COLUMNS}


def _parse_cell(column: Column, value: Any) -> Any:  # noqa: ANN401 - JSON in, a cell out
    if not isinstance(value, str):
        return value
    if column.kind == "money":
        return Decimal(value)
    if column.kind == "instant":
        return datetime.fromisoformat(value)
    return date.fromisoformat(value) if column.kind == "day" else value
