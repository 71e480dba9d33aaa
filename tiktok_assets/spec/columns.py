"""Define columns by name, kind and meaning."""

from dataclasses import dataclass
from typing import Literal

Kind = Literal["id", "text", "money", "count", "rate", "ratio", "day", "hour", "instant", "epoch", "flag", "json"]
"""What kind of value a column has; determines its type on disk (`tables.schema.POLARS_TYPES`).

id       text, even where the API sends a number
text     text
money    exact decimal in the account's currency, four decimals
count    whole number
rate     percent as TikTok returns it: 1.12 means 1.12 %
ratio    plain number, such as frequency or return on ad spend
day      the account's calendar day
hour     0 to 23 in the account's time zone; an hour that a clock change repeats is one row, one it skips has none
instant  aware UTC; the API sends "YYYY-MM-DD HH:MM:SS" without a zone and means UTC
epoch    an instant that the API sends as seconds since 1970 (only `create_time` of advertisers)
flag     true or false
json     a list or object, stored as JSON text
"""


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a table.

    Attributes:
        name: the column's name on disk.
        api_name: the field's name in the API; "" for columns this project adds.
        kind: the kind of its values.
        meaning: its meaning for the data dictionary.
    """

    name: str
    api_name: str
    kind: Kind
    meaning: str


def to_column_name(api_name: str) -> str:
    """Return the column name of an API field: `adgroup` becomes `ad_group`, everything else stays.

    >>> to_column_name("adgroup_id"), to_column_name("campaign_id")
    ('ad_group_id', 'campaign_id')
    """
    return api_name.replace("adgroup", "ad_group")
