"""Check whether the accounts have spend that the tables do not hold."""

from collections.abc import Sequence
from datetime import timedelta

from tiktok_assets.api import NotOfferedError, TikTokError, suggest_fix
from tiktok_assets.cli.doctor_checks import CheckReport
from tiktok_assets.ingest import (
    UnreadGmvMax,
    describe_unread_gmv_max,
    find_unreported_spend,
    is_permission_missing,
    load_accounts,
    read_gmv_max_spend,
    read_shops,
    select_accounts_without_shops,
    select_authorized_shops,
)
from tiktok_assets.session import Session
from tiktok_assets.spec import GMV_MAX_CAMPAIGN_REPORT

MAX_ACCOUNTS_ASKED = 5
"""Of how many accounts the shops are requested; a refresh does it for all, once a week."""


def check_unreported_spend(report: CheckReport, session: Session, readable: Sequence[str]) -> None:
    """Check for spend that is in no table: GMV Max without its report, TopView and Promote.

    The shops of an account are requested unless a refresh did it within a week; if they are refused, the spend of
    GMV Max is requested from the reports.

    Args:
        report: receives the result.
        session: an open session.
        readable: the advertiser ids that can be read.
    """
    asked = select_accounts_without_shops(
        session.store, session.settings, readable, session.now(), is_only_table=False, is_first_refresh_over=True
    )[:MAX_ACCOUNTS_ASKED]
    for advertiser_id in readable:
        try:
            unread = _read_unread_gmv_max(session, advertiser_id) if advertiser_id in asked else None
        except TikTokError as error:
            report.add_fault("spend", str(error), suggest_fix(error))
            return
        found = [describe_unread_gmv_max(advertiser_id, unread)] if unread else []
        stored = find_unreported_spend(session.store, advertiser_id)
        found += [one for one in stored if not (advertiser_id in asked and one.is_gmv_max)]
        for one in found:
            report.add_fault("spend", f"account {advertiser_id}: {one.text}", one.fix)
    report.set_ok("spend")


def _read_unread_gmv_max(session: Session, advertiser_id: str) -> UnreadGmvMax | None:
    """Request the shops of an account, and what GMV Max spent if the tables will not hold it."""
    is_chosen = GMV_MAX_CAMPAIGN_REPORT in session.settings.chosen_gmv_max_reports
    is_refused = False
    try:
        shops, _ = read_shops(session.reader, advertiser_id)
        if is_chosen or not select_authorized_shops(shops, advertiser_id):
            return None
    except NotOfferedError:
        return None
    except TikTokError as error:
        if not is_permission_missing(error):
            raise
        is_refused = True
    accounts, _ = load_accounts(session.reader, session.store, session.settings, [advertiser_id])
    if not accounts:
        return None  # the check of the details has the reason
    yesterday = accounts[0].today(session.now()) - timedelta(1)
    unread = read_gmv_max_spend(session.reader, accounts[0], yesterday, is_refused=is_refused)
    return None if unread.spend == 0 else unread
