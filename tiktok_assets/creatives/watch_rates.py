"""Add hook and hold rate to ads by their lifetime report."""

import polars as pl

from tiktok_assets.spec import CREATIVE_RATES

WATCH_RATES = ("hook_rate", "hold_rate")

_WATCHED = sorted({name for one in WATCH_RATES for name in CREATIVE_RATES[one].parts})
WATCHED_SCHEMA = pl.Schema(
    {**dict.fromkeys(("advertiser_id", "ad_id", "currency"), pl.String()), **dict.fromkeys(_WATCHED, pl.Int64())}
)
"""The columns of `ad_report_lifetime` from which the rates are computed."""


def add_watch_rates(top_spenders: pl.DataFrame, ads: pl.DataFrame) -> pl.DataFrame:
    """Add the lifetime hook rate and hold rate of each ad in percent; null where its views are not known.

    Args:
        top_spenders: rows of `top_spenders`.
        ads: rows of `ad_report_lifetime`; a metric that was not requested may be missing.
    """
    missing = [name for name in _WATCHED if name not in ads.columns]
    known = ads.with_columns(pl.lit(None, pl.Int64()).alias(name) for name in missing)
    keys = ("advertiser_id", "ad_id", "currency")
    rates = known.unique(keys, keep="first").select(
        *keys,
        *(
            pl.when(pl.col(CREATIVE_RATES[rate].denominator) > 0)
            .then(100 * pl.col(CREATIVE_RATES[rate].numerator) / pl.col(CREATIVE_RATES[rate].denominator))
            .alias(rate)
            for rate in WATCH_RATES
        ),
    )
    return top_spenders.join(rates, on=keys, how="left", maintain_order="left")
