"""Build URLs of Dagster pages: runs, assets, and the launchpad with its configuration filled in."""

import json
from collections.abc import Mapping
from urllib.parse import quote, quote_plus, urlencode

from tiktok_assets.escaping import escape_control_characters
from tiktok_assets.settings import Settings

CODE_LOCATION_PATH = "__repository__@tiktok_assets"
"""How the web app of Dagster 1.13.27 names the repository of our one code location in a path.

It also understands the location alone, which is what it writes itself.
"""

DUPLICATE_JOB = "duplicate_ad"


def build_launchpad_config(advertiser_id: str, ad_id: str, campaign_id: str, code: str | None = None) -> str:
    """Write the launchpad's YAML for `duplicate_ad`, which leaves everything switched off.

    Args:
        advertiser_id: the ad account.
        ad_id: what to duplicate.
        campaign_id: into which campaign.
        code: the approval code that makes it live; without one it is a dry run.
    """
    approved = f"   live: true\n   approval: {_quoted(code)}\n" if code else "   live: false\n"
    return (
        "ops:\n"
        f" {DUPLICATE_JOB}:\n"
        "  config:\n"
        f"   advertiser_id: {_quoted(advertiser_id)}\n"
        f"   ad_id: {_quoted(ad_id)}\n"
        f"   campaign_id: {_quoted(campaign_id)}\n"
        f"{approved}"
    )


def _quoted(text: str) -> str:
    """Write a text as YAML in double quotes, whose escapes are JSON's and Python's."""
    return escape_control_characters(json.dumps(text, ensure_ascii=False))


def find_scaling_campaign(settings: Settings, advertiser_id: str) -> str | None:
    """The campaign an ad can be duplicated into by a launch; None where there is no such job or campaign."""
    return None if settings.scaling_mode == "alert" else settings.scaling_campaigns.get(advertiser_id)


def build_launchpad_url(settings: Settings, advertiser_id: str, ad_id: str, code: str | None = None) -> str | None:
    """The launchpad of `duplicate_ad`, filled in; None where there is no such job or no campaign to go to.

    Args:
        settings: for the mode, the campaign and where Dagster is served.
        advertiser_id: the ad account.
        ad_id: what to duplicate.
        code: the approval code that makes it live; without one it is a dry run.
    """
    campaign_id = find_scaling_campaign(settings, advertiser_id)
    if not campaign_id:
        return None
    config = quote_plus(build_launchpad_config(advertiser_id, ad_id, campaign_id, code), safe=":")
    return (
        f"{settings.ui_url}/locations/{CODE_LOCATION_PATH}/jobs/{DUPLICATE_JOB}/playground/setup?config={config}"
    )


def build_run_url(settings: Settings, run_id: str) -> str:
    """A run's page."""
    return f"{settings.ui_url}/runs/{quote(run_id, safe='')}"


def build_runs_url(settings: Settings) -> str:
    """The page of all runs."""
    return f"{settings.ui_url}/runs"


def build_asset_url(settings: Settings, asset: str, **view: str) -> str:
    """An asset's page, such as `view="checks"`."""
    shown: Mapping[str, str] = view
    return f"{settings.ui_url}/assets/{quote(asset)}{'?' if shown else ''}{urlencode(shown)}"
