"""Columns of the tables this project derives: entity histories and report restatements."""

from tiktok_assets.spec.columns import Column

VERSION_COLUMNS: tuple[Column, ...] = (
    Column("is_deleted", "", "flag", "whether it was deleted: by its status, or gone from a complete listing"),
    Column("valid_from", "", "instant", "when this version was first read"),
    Column("valid_to", "", "instant", "when the next version was first read; null while this one is current"),
    Column("is_current", "", "flag", "whether this is the newest version"),
)
"""What a version has beside the columns of its entity."""

UNVERSIONED_COLUMNS = ("fetched_at", "modify_time")
"""The columns of an entity that alone make no new version: when we read it, and when TikTok touched it."""

DELETED_SUFFIX = "_DELETE"
"""How every `secondary_status` of a deleted object ends, its own deletion and its parent's (dossier 5.6)."""


def history_table_name(table: str) -> str:
    """The name of the table that keeps an entity's versions.

    >>> history_table("ads")
    'ads_history'
    """
    return f"{table}_history"


def history_table_meaning(table: str) -> str:
    """One sentence for the catalogue.

    >>> history_meaning("ad_groups")
    'Every version of the ad groups a refresh has seen, with the time it was valid; deletion is a version.'
    """
    return (
        f"Every version of the {table.replace('_', ' ')} a refresh has seen, with the time it was valid;"
        " deletion is a version."
    )


RESTATEMENTS = "report_restatements"
RESTATEMENTS_MEANING = (
    "Each reading of a stored day: spend, conversions and rows before and after, and how old the day was."
)
RESTATEMENTS_KEY = ("advertiser_id", "date", "report", "fetched_at")

RESTATEMENT_COLUMNS: tuple[Column, ...] = (
    Column("advertiser_id", "", "id", "the ad account"),
    Column("date", "", "day", "the account's calendar day that was read"),
    Column("report", "", "text", "the table of the report"),
    Column("fetched_at", "", "instant", "when we read it"),
    Column("previous_fetched_at", "", "instant", "when it had been read before; null for the first reading"),
    Column("age_days", "", "count", "how many of the account's days lie between the day and the reading"),
    Column("currency", "", "text", "ISO 4217; every amount of the row is in it"),
    Column("timezone", "", "text", "in which the day was read as one; null where an earlier release read it"),
    Column("rows_before", "", "count", "rows of the day before; null for the first reading"),
    Column("rows_after", "", "count", "rows of the day now"),
    Column("rows_change", "", "count", "rows that came or went"),
    Column("spend_before", "", "money", "cost of the day before; null for the first one and in another currency"),
    Column("spend_after", "", "money", "cost of the day now"),
    Column("spend_change", "", "money", "cost that was added or taken back"),
    Column("conversion_before", "", "count", "conversions of the day before; null for the first reading"),
    Column("conversion_after", "", "count", "conversions of the day now; null where they are not asked for"),
    Column("conversion_change", "", "count", "conversions that were added or taken back"),
    Column("was_complete", "", "flag", "whether the reading before was complete; null for the first reading"),
    Column("is_complete", "", "flag", "whether this reading is complete"),
    Column("is_settled", "", "flag", "whether this reading came after every attribution window"),
)
