"""Build URLs of Dagster pages: runs, assets, and the launchpad with its configuration filled in."""

import json
from collections.abc import Mapping
from urllib.parse import quote, quote_plus, urlencode

from tiktok_assets.escaping import escape_control_characters
from tiktok_assets.naming import add_name_prefix
from tiktok_assets.settings import Settings

DUPLICATE_JOB = "duplicate_ad"


def build_launchpad_config(advertiser_id: str, ad_id: str, campaign_id: str, code: str | None = None) -> str:
    """Build the launchpad's YAML for `duplicate_ad`; the copy stays switched off.

    Args:
        advertiser_id: the ad account.
        ad_id: the ad to duplicate.
        campaign_id: the campaign to duplicate it into.
        code: the approval code for a live run; without one it is a dry run.
    """
    approval = f"   live: true\n   approval: {_quote_yaml(code)}\n" if code else "   live: false\n"
    return (
        "ops:\n"
        f" {DUPLICATE_JOB}:\n"
        "  config:\n"
        f"   advertiser_id: {_quote_yaml(advertiser_id)}\n"
        f"   ad_id: {_quote_yaml(ad_id)}\n"
        f"   campaign_id: {_quote_yaml(campaign_id)}\n"
        f"{approval}"
    )


def _quote_yaml(text: str) -> str:
    """Write a text as YAML in double quotes, whose escapes are those of JSON and Python."""
    return escape_control_characters(json.dumps(text, ensure_ascii=False))


def find_scaling_campaign(settings: Settings, advertiser_id: str) -> str | None:
    """Return the id of the account's scaling campaign, or None in mode `alert` and where none is configured."""
    return None if settings.scaling_mode == "alert" else settings.scaling_campaigns.get(advertiser_id)


def build_launchpad_url(settings: Settings, advertiser_id: str, ad_id: str, code: str | None = None) -> str | None:
    """Build the URL of the launchpad of `duplicate_ad`, or return None where there is no scaling campaign.

    Args:
        settings: mode, scaling campaigns and the address of Dagster's web app.
        advertiser_id: the ad account.
        ad_id: the ad to duplicate.
        code: the approval code for a live run; without one it is a dry run.
    """
    campaign_id = find_scaling_campaign(settings, advertiser_id)
    if not campaign_id:
        return None
    config = quote_plus(build_launchpad_config(advertiser_id, ad_id, campaign_id, code), safe=":")
    # How the web app of Dagster 1.13.27 names the repository of a code location in a path; it also accepts the
    # location's name alone, which is the form it generates.
    location = f"__repository__@{quote(settings.code_location, safe='')}"
    path = f"locations/{location}/jobs/{add_name_prefix(settings, DUPLICATE_JOB)}/playground/setup"
    return f"{settings.ui_url}/{path}?config={config}"


def build_run_url(settings: Settings, run_id: str) -> str:
    """Build the URL of a run's page."""
    return f"{settings.ui_url}/runs/{quote(run_id, safe='')}"


def build_runs_url(settings: Settings) -> str:
    """Build the URL of the page that lists all runs."""
    return f"{settings.ui_url}/runs"


def build_asset_url(settings: Settings, key: str, **view: str) -> str:
    """Build the URL of an asset's page.

    Args:
        settings: the address of Dagster's web app.
        key: of the asset, with a slash between its parts.
        **view: selects a tab, such as `view="checks"`.
    """
    query: Mapping[str, str] = view
    return f"{settings.ui_url}/assets/{quote(key)}{'?' if query else ''}{urlencode(query)}"
