"""Say what spend of an account the stored tables do not hold, from the stored tables alone."""

import json
from collections.abc import Iterator
from dataclasses import dataclass

import polars as pl

from tiktok_assets.ingest.gmv_max_shops import UnreadGmvMax, load_unread_gmv_max
from tiktok_assets.ingest.partitions import parse_fetched_at
from tiktok_assets.spec import CAMPAIGNS, GMV_MAX_CAMPAIGN_REPORT, GMV_MAX_SHOPS
from tiktok_assets.storage import HiveStore, Partition
from tiktok_assets.tables import build_schema, entity_columns

_LIFETIME_REPORT = "campaign_report_lifetime"
_GMV_MAX = "GMV Max"
_MAX_NAMES = 3


@dataclass(frozen=True, slots=True)
class UnreportedSpend:
    """Spend of an account that the tables do not hold.

    Attributes:
        advertiser_id: the account.
        what: what the spend is of.
        amount: the amount with its currency; "" if it is unknown.
        text: one sentence that names the spend and why it is missing; may contain names from TikTok.
        fix: what to do about it.
    """

    advertiser_id: str
    what: str
    amount: str
    text: str
    fix: str

    @property
    def is_gmv_max(self) -> bool:
        """Whether the spend is of GMV Max."""
        return self.what == _GMV_MAX


def find_unreported_spend(store: HiveStore, advertiser_id: str) -> list[UnreportedSpend]:
    """Return the spend of an account that the tables do not hold, as far as the stored tables show it."""
    unread = load_unread_gmv_max(store, advertiser_id)
    gmv_max = [describe_unread_gmv_max(advertiser_id, unread)] if unread else []
    return [*gmv_max, *_find_campaigns_without_report(store, advertiser_id)]


def describe_unread_gmv_max(advertiser_id: str, unread: UnreadGmvMax) -> UnreportedSpend:
    """Describe the spend of GMV Max that is not read."""
    table = GMV_MAX_CAMPAIGN_REPORT.table
    path = GMV_MAX_SHOPS.endpoint.path
    why = (
        f"the token lacks the permission for {path}" if unread.is_refused else f"TIKTOK_REPORTS leaves out {table}"
    )
    fix = (
        f"Select {GMV_MAX_SHOPS.endpoint.permission} on the app's page, and once it is approved run"
        " `tiktok-assets auth` again."
        if unread.is_refused
        else f"Add {table} to TIKTOK_REPORTS."
    )
    if unread.spend is None:
        return UnreportedSpend(
            advertiser_id,
            _GMV_MAX,
            "",
            "whether and how much GMV Max (TikTok Shop) spends is unknown and in none of the tables, because"
            f" {why}",
            fix,
        )
    amount = f"{unread.spend:,.2f} {unread.currency}".rstrip()
    return UnreportedSpend(
        advertiser_id,
        _GMV_MAX,
        amount,
        f"GMV Max (TikTok Shop) spent {amount} from {unread.first} to {unread.last}, which is in none of the"
        f" tables, because {why}",
        fix,
    )


def _find_campaigns_without_report(store: HiveStore, advertiser_id: str) -> Iterator[UnreportedSpend]:
    """Yield the campaigns by reservation or by Promote that have no row in the lifetime report.

    By mengxingxinqing/tiktok_ads, run_a_synchronous_report, reports of auction levels include reservation ads,
    but those of TopView only if a filter requests them; by promote_campaign the same holds for Promote. So TopView
    and Promote are named unless the report has them. Reach & Frequency is named only if the report was read after
    the campaign was created, and has no row of it.
    """
    partition = Partition(advertiser_id)
    if store.scan_partition(CAMPAIGNS.table, partition) is None:
        return
    campaigns = store.read(CAMPAIGNS.table, build_schema(entity_columns(CAMPAIGNS)), [partition]).collect()
    read_at = parse_fetched_at(store.read_metadata(_LIFETIME_REPORT, partition))
    report = store.scan_partition(_LIFETIME_REPORT, partition) if read_at else None
    reported = set(report.select("campaign_id").collect().to_series()) if report is not None else set()
    by_kind: dict[str, list[str]] = {}
    for row in campaigns.filter(~pl.col("campaign_id").is_in(list(reported))).to_dicts():
        kind = _get_special_kind(row["objective_type"] or "", row["extra"])
        is_newer = read_at is None or (row["create_time"] is not None and row["create_time"] > read_at)
        if kind and not (kind == "Reach & Frequency" and is_newer):
            by_kind.setdefault(kind, []).append(row["campaign_name"] or row["campaign_id"])
    for kind, names in sorted(by_kind.items()):
        shown = ", ".join(names[:_MAX_NAMES])
        more = f" and {len(names) - _MAX_NAMES} more" if len(names) > _MAX_NAMES else ""
        text = (
            f"the spend of {len(names)} {kind} {'campaigns' if len(names) > 1 else 'campaign'} is in none of the"
            f" tables, because TikTok leaves {'them' if len(names) > 1 else 'it'} out of reports: {shown}{more}"
        )
        yield UnreportedSpend(advertiser_id, kind, "", text, "Look it up in Ads Manager.")


def _get_special_kind(objective_type: str, extra: str | None) -> str:
    fields = json.loads(extra) if extra else {}
    if fields.get("campaign_system_origin") == "PROMOTE":
        return "Promote"
    if objective_type.startswith("TOPVIEW_") or fields.get("rf_campaign_type") == "TOPVIEW":
        return "TopView"
    return "Reach & Frequency" if objective_type.startswith("RF_") else ""
