"""The history tables: every version of a campaign, ad group or ad that a refresh has seen."""

from tiktok_assets.spec.columns import Column

VERSION_COLUMNS: tuple[Column, ...] = (
    Column("is_deleted", "", "flag", "whether it was deleted: by its status, or gone from a complete listing"),
    Column("valid_from", "", "instant", "when this version was first read"),
    Column("valid_to", "", "instant", "when the next version was first read; null while this one is current"),
    Column("is_current", "", "flag", "whether this is the newest version"),
)
"""What a version has beside the columns of its entity."""

UNCOUNTED = ("fetched_at", "modify_time")
"""The columns of an entity that alone make no new version: when we read it, and when TikTok touched it."""

DELETED_SUFFIX = "_DELETE"
"""How every `secondary_status` of a deleted object ends, its own deletion and its parent's (dossier 5.6)."""


def history_table(table: str) -> str:
    """The name of the table that keeps an entity's versions.

    >>> history_table("ads")
    'ads_history'
    """
    return f"{table}_history"


def history_meaning(table: str) -> str:
    """One sentence for the catalogue.

    >>> history_meaning("ad_groups")
    'Every version of the ad groups a refresh has seen, with the time it was valid; deletion is a version.'
    """
    return (
        f"Every version of the {table.replace('_', ' ')} a refresh has seen, with the time it was valid;"
        " deletion is a version."
    )
