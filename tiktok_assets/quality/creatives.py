"""Check that no creative that spends is in decline."""

import polars as pl

from tiktok_assets.quality.outcome import CheckOutcome
from tiktok_assets.quality.table_reader import TableReader

DECLINES = "creative_declines"

_SHOWN = ("advertiser_id", "creative_name", "creative_id", "metric", "best_rate", "recent_rate", "since")


def check_fatigue(reader: TableReader) -> CheckOutcome:
    """List the creatives of an account that are in decline and still spend."""
    context, owner = reader.context, reader.advertiser_id or ""
    if DECLINES not in context.tables:
        return CheckOutcome(notes=("TIKTOK_FATIGUE_DROP is 0, so no decline is searched",))
    rows = context.store.scan(DECLINES, context.tables[DECLINES].schema, advertiser_ids=[owner])
    declining = rows.filter(pl.col("status") == "declining").sort("recent_spend", descending=True)
    return CheckOutcome.from_faults(
        declining.select(_SHOWN).with_columns(pl.col("best_rate", "recent_rate").round(2)).collect()
    )
