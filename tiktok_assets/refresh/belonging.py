"""What no row of a report may say: that it is another account's, or cut by an id nobody asked for."""

from dataclasses import replace
from typing import Any

import polars as pl

from tiktok_assets.api.client import Tally
from tiktok_assets.api.pages import Listing
from tiktok_assets.days import ValueFormatError
from tiktok_assets.spec.reports import Report

_IDS = frozenset({"advertiser_id", "campaign_id", "adgroup_id", "ad_id", "ad_id_v2"})


def belonging(listing: Listing[pl.DataFrame], report: Report, advertiser_id: str) -> Listing[pl.DataFrame]:
    """The same listing, whose pages are refused if a row of them is not what was asked for.

    A parent's id among the dimensions means rows cut otherwise than the table says (dossier 6.2), and sums that
    count twice; an account that is not echoed (dossier 6.5) is ours.
    """
    others = _IDS - {report.level.dimension}

    def parse(rows: list[dict[str, Any]], tally: Tally) -> pl.DataFrame:
        page = listing.parse(rows, tally)
        for row in rows:
            if not others.isdisjoint(row["dimensions"]):
                name = min(others & row["dimensions"].keys())
                raise ValueFormatError(f"{name} came as a dimension, and was not asked for as one")
            owner = row["metrics"].get("advertiser_id", advertiser_id)
            if str(owner) != advertiser_id:
                raise ValueFormatError(f"a row of account {owner} came with those of {advertiser_id}")
        return page

    return replace(listing, parse=parse)
