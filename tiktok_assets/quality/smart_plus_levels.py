"""Compare Upgraded Smart+ ads with their creatives and their ad groups, object by object.

A creative is the ad of `ad_report_*`, and an ad that of `smart_plus_ad_report_*`; `ads` says which creatives
belong to an ad (mengxingxinqing/tiktok_ads, retrieve_data_for_upgrade_smart_smart_and_manual_campaigns). The main
materials of an ad split its spend as its creatives do; an ad may lack texts, calls to action and add-ons.
"""

from dataclasses import dataclass

import polars as pl

from tiktok_assets.quality.outcome import CheckOutcome
from tiktok_assets.quality.reconciliation import compare_objects, drop_mixed_currency_groups, keep_complete_days
from tiktok_assets.quality.table_reader import TableReader
from tiktok_assets.spec import ADS, SMART_PLUS_ADS, SMART_PLUS_CAMPAIGN, Cadence
from tiktok_assets.tables import select_rows_to_sum


@dataclass(frozen=True, slots=True)
class _Comparison:
    """Two tables that have the same sums.

    Attributes:
        lower: the table of the parts.
        upper: the table of the sums.
        id_column: the column of both that names the sum; "" for the account.
        names: what the two are, the parts first.
    """

    lower: str
    upper: str
    id_column: str
    names: tuple[str, str]


def _list_comparisons(cadence: Cadence) -> tuple[_Comparison, ...]:
    ads = f"smart_plus_ad_report_{cadence}"
    # Materials by day have no ad, so their account is compared.
    material_id = SMART_PLUS_ADS.key if cadence == "lifetime" else ""
    return (
        _Comparison(f"ad_report_{cadence}", ads, SMART_PLUS_ADS.key, ("creatives", "Smart+ ads")),
        _Comparison(f"smart_plus_creative_report_{cadence}", ads, material_id, ("main materials", "Smart+ ads")),
        _Comparison(ads, f"ad_group_report_{cadence}", "ad_group_id", ("Smart+ ads", "ad groups")),
        _Comparison(
            f"ad_group_report_{cadence}", f"campaign_report_{cadence}", "campaign_id", ("ad groups", "campaigns")
        ),
    )


def compare_smart_plus_levels(reader: TableReader) -> CheckOutcome:
    """Compare the levels of an account's Upgraded Smart+ campaigns, starting from the report of its Smart+ ads.

    Spend and every additive metric of a complete day must agree to the cent. A lifetime grows between the reads of
    two tables, so its totals may differ by the tolerance of the settings.
    """
    report = reader.table.report
    if report is None or reader.frame.is_empty():
        return CheckOutcome()
    known = reader.context.tables
    outcome = CheckOutcome()
    for one in _list_comparisons(report.cadence):
        if one.lower not in known or one.upper not in known:
            continue
        lower, upper = _read_both(reader, one)
        by = ["advertiser_id", *(["date"] if "date" in lower.columns else [])]
        if "date" in by:
            lower, upper = keep_complete_days(lower, upper)
        lower, upper = drop_mixed_currency_groups(lower, upper, by)
        upper_metrics = known[one.upper].metrics
        outcome += compare_objects(
            lower,
            upper,
            [metric for metric in known[one.lower].metrics if metric in upper_metrics],
            [*by, *([one.id_column] if one.id_column else [])],
            one.names,
            tolerance=reader.context.tolerance if report.cadence == "lifetime" else None,
        )
    return outcome


def _read_both(reader: TableReader, one: _Comparison) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return the rows of both tables that belong to Upgraded Smart+ ads, of the partitions that both have."""
    readers = [reader.for_table(table) for table in (one.lower, one.upper)]
    shared = set(readers[0].readable_partitions) & set(readers[1].readable_partitions)
    shared &= set(reader.readable_partitions)
    lower, upper = (
        each.read_rows(each.table, [partition for partition in each.readable_partitions if partition in shared])
        for each in readers
    )
    if lower_report := readers[0].table.report:
        lower = select_rows_to_sum(lower_report, lower)
    if one.lower.startswith("ad_report"):
        lower = _add_smart_plus_ads(reader, lower)
    campaign_ids = _list_smart_plus_campaigns(reader)
    lower, upper = (
        each.filter(pl.col("campaign_id").is_in(campaign_ids)) if "campaign_id" in each.columns else each
        for each in (lower, upper)
    )
    return lower, upper


def _list_smart_plus_campaigns(reader: TableReader) -> list[str]:
    campaigns = reader.for_table(SMART_PLUS_CAMPAIGN.table)
    rows = campaigns.read_rows(campaigns.table, campaigns.readable_partitions)
    is_smart_plus = pl.col(SMART_PLUS_CAMPAIGN.column) == SMART_PLUS_CAMPAIGN.value
    return rows.filter(is_smart_plus).get_column("campaign_id").to_list()


def _add_smart_plus_ads(reader: TableReader, creatives: pl.DataFrame) -> pl.DataFrame:
    """Add the Smart+ ad of each creative; ads of other campaigns are left out."""
    ads = reader.for_table(ADS.table)
    known = ads.read_rows(ads.table, ads.readable_partitions).select("ad_id", SMART_PLUS_ADS.key).drop_nulls()
    return creatives.join(known, on="ad_id", how="inner")
