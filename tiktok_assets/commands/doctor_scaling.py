"""What `doctor` says of alerts and scaling: receivers Apprise understands, what copies need."""

from collections.abc import Iterable, Mapping

from tiktok_assets.api.errors import AdvertiserError, TikTokError, mend_of
from tiktok_assets.api.fetch import Fetcher
from tiktok_assets.api.media import Identity
from tiktok_assets.api.writes import objects
from tiktok_assets.commands.chart import Chart
from tiktok_assets.commands.doctor_reading import permission_fault
from tiktok_assets.scaling.ad_formats import identities_of
from tiktok_assets.scaling.sources import is_deleted
from tiktok_assets.session import Session
from tiktok_assets.settings import Settings
from tiktok_assets.spec.entities import CAMPAIGNS


def check_receivers(chart: Chart, settings: Settings) -> None:
    """Whether Apprise knows what to do with each URL; nothing is sent, and a URL is named by its place."""
    if not settings.alert_urls:
        chart.unset("alerts")
    else:
        from tiktok_assets.scaling.receivers import is_understood  # noqa: PLC0415 - Apprise takes its time

        wrong = [
            str(place)
            for place, url in enumerate(settings.alert_urls, 1)
            if not is_understood(url.get_secret_value())
        ]
        if wrong:
            which = f"URL{'s' if len(wrong) > 1 else ''} {', '.join(wrong)} of TIKTOK_ALERT_URLS"
            mend = "Write it as Apprise's page of the service says; a comma within it is %2C."
            chart.fault("alerts", f"Apprise does not understand {which}", mend)
    chart.well("alerts")


def check_scaling(chart: Chart, fetcher: Fetcher, campaigns: Mapping[str, str], granted: Iterable[str]) -> None:
    """Whether each scaling campaign is there, in an account that can be read; a request for each."""
    if not campaigns:
        chart.unset("scaling")
    wrong: list[str] = []
    for advertiser_id, campaign_id in campaigns.items():
        if advertiser_id not in granted:
            wrong.append(f"account {advertiser_id} is not among those that can be read")
            continue
        try:
            rows = objects(fetcher, CAMPAIGNS, advertiser_id, {"campaign_ids": [campaign_id]})
        except TikTokError as error:
            chart.fault("scaling", str(error), mend_of(error))
            return
        if not rows:
            wrong.append(f"account {advertiser_id} has no campaign {campaign_id}")
        elif is_deleted(rows[0]):
            wrong.append(f"campaign {campaign_id} is deleted")
    if wrong:
        chart.fault("scaling", "; ".join(wrong), "Correct TIKTOK_SCALING_CAMPAIGNS.")
    chart.well("scaling")


def check_copies(chart: Chart, session: Session, granted: Iterable[str]) -> None:
    """Check that copies can look up identities, and that those of the settings can post; one list an account."""
    chosen = identities_of(session.settings.scaling_identities)
    owners = sorted({*chosen, *session.settings.scaling_campaigns} & set(granted))
    if not owners:
        chart.unset("copies")
    wrong: list[str] = []
    for owner in owners:
        identity = chosen.get(owner)
        try:
            able = session.abilities_of(owner, identity or Identity("TT_USER", ""))
        except AdvertiserError as error:  # the account can be read, so it is the permission
            chart.fault("copies", *permission_fault(error.endpoint))
            return
        except TikTokError as error:
            chart.fault("copies", str(error), mend_of(error))
            return
        if identity and not (able and able.is_available and able.can_push and not able.is_political):
            wrong.append(f"account {owner} has no identity {identity.identity_id} that can post")
    if wrong:
        chart.fault("copies", "; ".join(wrong), "Correct TIKTOK_SCALING_IDENTITY, or let that account post.")
    chart.well("copies")
