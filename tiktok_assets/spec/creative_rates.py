"""Define the rates of a creative, each a quotient of two sums.

Names follow the trade: the hook rate is the share of impressions that are watched for two seconds, the hold rate
the share of those viewers who are left after six.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from tiktok_assets.spec.columns import Kind

WATCH_SECONDS = "watch_seconds"
"""The column of `creative_daily` with the seconds watched."""


@dataclass(frozen=True, slots=True)
class CreativeRate:
    """A rate of a creative.

    Attributes:
        numerator: the summed column above the line.
        denominator: the summed column below it.
        kind: `rate` in percent, `ratio` and `money` as they are.
        meaning: for the data dictionary.
    """

    numerator: str
    denominator: str
    kind: Kind
    meaning: str

    @property
    def name(self) -> str:
        """What the trade calls it, such as `hook rate`."""
        return self.meaning.partition(":")[0]

    @property
    def parts(self) -> tuple[str, str]:
        """The two summed columns."""
        return self.numerator, self.denominator


CREATIVE_RATES: Mapping[str, CreativeRate] = {
    "ctr": CreativeRate("clicks", "impressions", "rate", "click rate: clicks / impressions"),
    "cvr": CreativeRate("conversion", "clicks", "rate", "conversion rate: conversions / clicks"),
    "cpa": CreativeRate("spend", "conversion", "money", "cost per acquisition: spend / conversions"),
    "roas": CreativeRate(
        "total_complete_payment_value",
        "spend",
        "ratio",
        "return on ad spend: value of the purchases on the website / spend",
    ),
    "hook_rate": CreativeRate(
        "video_watched_2s", "impressions", "rate", "hook rate: 2-second views / impressions"
    ),
    "hold_rate": CreativeRate(
        "video_watched_6s", "video_watched_2s", "rate", "hold rate: 6-second / 2-second views"
    ),
    "completion_rate": CreativeRate(
        "video_views_p100", "video_play_actions", "rate", "completion rate: views to the end / plays"
    ),
    "average_watch_seconds": CreativeRate(
        WATCH_SECONDS, "video_play_actions", "ratio", "average watch time: seconds watched / plays"
    ),
}
"""The rates, each computed from the sums of its period; null where a part is null or the denominator is zero."""
