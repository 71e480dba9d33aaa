"""Build URLs of TikTok Ads Manager."""

from urllib.parse import urlencode

ADS_MANAGER_URL = "https://ads.tiktok.com/i18n/perf"
"""TikTok does not document URLs of Ads Manager; public code uses these pages, with the account as `aadvid`."""


def ads_manager_campaigns_url(advertiser_id: str) -> str:
    """Return the URL of an account's campaigns.

    >>> ads_manager_campaigns_url("7104142337395130369")
    'https://ads.tiktok.com/i18n/perf/campaign?aadvid=7104142337395130369'
    """
    return f"{ADS_MANAGER_URL}/campaign?{urlencode({'aadvid': advertiser_id})}"


def ads_manager_ad_url(advertiser_id: str, ad_id: str) -> str:
    """Return the URL of an account's ads, filtered by one ad's id; that `keyword` matches ids is not verified.

    >>> ads_manager_ad_url("71", "17")
    'https://ads.tiktok.com/i18n/perf/creative?aadvid=71&keyword=17'
    """
    return f"{ADS_MANAGER_URL}/creative?{urlencode({'aadvid': advertiser_id, 'keyword': ad_id})}"
