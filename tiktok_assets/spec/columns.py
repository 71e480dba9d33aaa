"""The words a column is described with: its kind, its unit, its meaning."""

from dataclasses import dataclass
from typing import Literal

Kind = Literal["id", "text", "money", "count", "rate", "ratio", "day", "hour", "instant", "epoch", "flag", "json"]
"""What a value is, which alone decides its type on disk (`column_types.POLARS_TYPES`).

id       text, even where the API sends a bare number
text     text
money    exact decimal in the account's currency, four places
count    whole number
rate     percent as TikTok gives it: 1.12 means 1.12 %
ratio    plain number, such as frequency or return on ad spend
day      the advertiser's calendar day
hour     0 to 23 by the account's own clock: the hour the clock repeats is one row, the hour it skips is none
instant  aware UTC; the API sends "YYYY-MM-DD HH:MM:SS" without a zone and means UTC
epoch    an instant the API sends as seconds since 1970 (advertiser create_time only)
flag     true or false
json     a list or object, kept as JSON text
"""


@dataclass(frozen=True, slots=True)
class Column:
    """One column: our name, the API's name, what it is and what it means."""

    name: str
    api_name: str
    kind: Kind
    meaning: str


def to_column_name(api_name: str) -> str:
    """The API's name in our words: `adgroup` is `ad_group`, everything else stays.

    >>> renamed("adgroup_id"), renamed("campaign_id")
    ('ad_group_id', 'campaign_id')
    """
    return api_name.replace("adgroup", "ad_group")
