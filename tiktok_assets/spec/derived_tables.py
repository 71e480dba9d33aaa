"""Columns of the tables this project derives: entity histories and report restatements."""

from tiktok_assets.spec.columns import Column

VERSION_COLUMNS: tuple[Column, ...] = (
    Column("is_deleted", "", "flag", "whether it was deleted: by its status, or missing from a complete list"),
    Column("valid_from", "", "instant", "when this version was first read"),
    Column("valid_to", "", "instant", "when the next version was first read; null while this one is current"),
    Column("is_current", "", "flag", "whether this is the newest version"),
)
"""The columns of a history table beside those of its entity."""

UNVERSIONED_COLUMNS = ("fetched_at", "modify_time")
"""Columns of an entity whose change alone creates no new version."""

DELETED_SUFFIX = "_DELETE"
"""How every `secondary_status` of a deleted object or of its children ends (API notes 5.6)."""


def history_table_name(table: str) -> str:
    """Return the name of the history table of an entity's table.

    >>> history_table_name("ads")
    'ads_history'
    """
    return f"{table}_history"


def history_table_meaning(table: str) -> str:
    """Return the meaning of a history table for the data dictionary.

    >>> history_table_meaning("ad_groups")
    'Every version of the ad groups that a refresh has read, with its time of validity; a deletion is a version.'
    """
    return (
        f"Every version of the {table.replace('_', ' ')} that a refresh has read, with its time of validity;"
        " a deletion is a version."
    )


RESTATEMENTS = "report_restatements"
RESTATEMENTS_MEANING = (
    "Each read of a stored day: spend, conversions and rows before and after it, and the age of the day."
)
RESTATEMENTS_KEY = ("advertiser_id", "date", "report", "fetched_at")

RESTATEMENT_COLUMNS: tuple[Column, ...] = (
    Column("advertiser_id", "", "id", "the ad account"),
    Column("date", "", "day", "the account's calendar day that was read"),
    Column("report", "", "text", "the table of the report"),
    Column("fetched_at", "", "instant", "when the day was read"),
    Column("previous_fetched_at", "", "instant", "when the day was read before; null for the first read"),
    Column("age_days", "", "count", "how many of the account's days lie between the day and the read"),
    Column("currency", "", "text", "ISO 4217 code; the currency of every amount of the row"),
    Column("timezone", "", "text", "the time zone of the day; null where an earlier release read it"),
    Column("rows_before", "", "count", "rows of the day before the read; null for the first read"),
    Column("rows_after", "", "count", "rows of the day after the read"),
    Column("rows_change", "", "count", "rows that were added or removed"),
    Column(
        "spend_before", "", "money", "cost of the day before the read; null for the first and in another currency"
    ),
    Column("spend_after", "", "money", "cost of the day after the read"),
    Column("spend_change", "", "money", "cost that was added or removed"),
    Column("conversion_before", "", "count", "conversions of the day before the read; null for the first read"),
    Column(
        "conversion_after", "", "count", "conversions of the day after the read; null where they are not requested"
    ),
    Column("conversion_change", "", "count", "conversions that were added or removed"),
    Column("was_complete", "", "flag", "whether the data before the read was complete; null for the first read"),
    Column("is_complete", "", "flag", "whether the data of this read is complete"),
    Column("is_settled", "", "flag", "whether this read came after every attribution window"),
)
