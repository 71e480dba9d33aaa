"""Addresses of TikTok's own pages, for people."""

from urllib.parse import quote


def ads_manager(advertiser_id: str) -> str:
    """The campaigns of an account in Ads Manager.

    >>> ads_manager("7104142337395130369")
    'https://ads.tiktok.com/i18n/perf/campaign?aadvid=7104142337395130369'
    """
    return f"https://ads.tiktok.com/i18n/perf/campaign?aadvid={quote(advertiser_id, safe='')}"
