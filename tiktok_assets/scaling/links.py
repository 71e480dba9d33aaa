"""The pages of Dagster an alert leads to: runs, assets and the filled-in launchpad."""

import json
from collections.abc import Mapping
from urllib.parse import quote, urlencode

from tiktok_assets.escaping import visible
from tiktok_assets.settings import Settings

LOCATION = "__repository__@tiktok_assets"
"""How the web app of Dagster 1.13.27 names the repository of our one code location in a path.

It also understands the location alone, which is what it writes itself.
"""

DUPLICATE_JOB = "duplicate_ad"


def duplication_config(advertiser_id: str, ad_id: str, campaign_id: str) -> str:
    """The launchpad's YAML for `duplicate_ad`: a dry run that leaves everything switched off."""
    return (
        "# As it stands a dry run, which prints the requests; live: true sends them.\n"
        "ops:\n"
        f"  {DUPLICATE_JOB}:\n"
        "    config:\n"
        f"      advertiser_id: {_quoted(advertiser_id)}\n"
        f"      ad_id: {_quoted(ad_id)}\n"
        f"      campaign_id: {_quoted(campaign_id)}\n"
        "      live: false\n"
        "      enable: false\n"
    )


def _quoted(text: str) -> str:
    """Write a text as YAML in double quotes, whose escapes are JSON's and Python's."""
    return visible(json.dumps(text, ensure_ascii=False))


def launchpad_link(settings: Settings, advertiser_id: str, ad_id: str) -> str | None:
    """The launchpad of `duplicate_ad`, filled in; None where there is no such job or no campaign to go to."""
    campaign_id = settings.scaling_campaigns.get(advertiser_id)
    if settings.scaling_mode == "alert" or not campaign_id:
        return None
    config = quote(duplication_config(advertiser_id, ad_id, campaign_id), safe="")
    return f"{settings.ui_url}/locations/{LOCATION}/jobs/{DUPLICATE_JOB}/playground/setup?config={config}"


def run_link(settings: Settings, run_id: str) -> str:
    """A run's page."""
    return f"{settings.ui_url}/runs/{quote(run_id, safe='')}"


def asset_link(settings: Settings, asset: str, **view: str) -> str:
    """An asset's page, such as `view="checks"`."""
    shown: Mapping[str, str] = view
    return f"{settings.ui_url}/assets/{quote(asset)}{'?' if shown else ''}{urlencode(shown)}"
