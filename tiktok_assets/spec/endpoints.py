"""The endpoints of the Marketing API v1.3 that this project uses, with their limits."""

from collections.abc import Mapping
from dataclasses import dataclass

MAX_PAGE_SIZE = 1000
"""How many rows a page of entities or of a report can have (API notes 5.1, 6.1)."""

MAX_IDS_PER_CALL = 100
"""How many ids an `advertiser/info` request or an id filter can have (API notes 5.1, 5.3)."""

MAX_DAYS_PER_REPORT = 30
"""How many days a report with `stat_time_day` can cover, both ends included (API notes 6.3)."""

MAX_METRICS_PER_REPORT = 100
"""How many metrics, attributes included, a report should request (API notes 6.1: best practice, no hard limit)."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One operation of the API; read with GET unless stated otherwise.

    Attributes:
        path: the path below `/open_api/{version}/`; documented paths end with a slash.
        source: where its rules are documented.
        permission: the permission to tick on the app's page (API notes 2.1).
        penalizes_repeats: whether a query that timed out must become smaller before it is sent again, because
            TikTok blocks repeated ones (API notes 4.3).
        parses_rows_separately: whether the rows of a response are parsed separately from the object around them,
            because there are many.
        is_optional: whether the host or the app may lack it: its tables are then left out, with a warning.
    """

    path: str
    source: str
    permission: str = ""
    penalizes_repeats: bool = False
    parses_rows_separately: bool = False
    is_optional: bool = False


_ACCOUNTS, _ADS, _REPORTING = "Ad Account Management", "Ads Management", "Reporting"

ADVERTISER_LIST = Endpoint("oauth2/advertiser/get/", source="TikTok API notes 2", permission=_ACCOUNTS)
ADVERTISER_INFO = Endpoint("advertiser/info/", source="TikTok API notes 5.3", permission=_ACCOUNTS)
CAMPAIGN_LIST = Endpoint("campaign/get/", source="TikTok API notes 5.1, 5.2", permission=_ADS)
AD_GROUP_LIST = Endpoint("adgroup/get/", source="TikTok API notes 5.1, 5.2", permission=_ADS)
AD_LIST = Endpoint("ad/get/", source="TikTok API notes 5.1, 5.2", permission=_ADS)
REPORT = Endpoint(
    "report/integrated/get/",
    source="TikTok API notes 6",
    permission=_REPORTING,
    penalizes_repeats=True,
    parses_rows_separately=True,
)
SMART_PLUS_AD_LIST = Endpoint(
    "smart_plus/ad/get/",
    source="mengxingxinqing/tiktok_ads, get_upgraded_smart_ads",
    permission=_ADS,
    is_optional=True,
)
CREATIVE_OVERVIEW = Endpoint(
    "smart_plus/material_report/overview/",
    source="mengxingxinqing/tiktok_ads, run_an_upgraded_smart_creative_overview_report",
    permission=_REPORTING,
    is_optional=True,
)
CREATIVE_BREAKDOWN = Endpoint(
    "smart_plus/material_report/breakdown/",
    source="mengxingxinqing/tiktok_ads, run_an_upgraded_smart_creative_breakdown_report",
    permission=_REPORTING,
    is_optional=True,
)

ACCESS_TOKEN = Endpoint("oauth2/access_token/", source="TikTok API notes 2")
"""Creates an access token; sent with POST and without a token."""

AD_GROUP_QUOTA = Endpoint("adgroup/quota/", source="TikTok API notes 5.7")
"""Read before an ad group is created."""

_CREATIVES = "Creative Management"
IDENTITIES = Endpoint("identity/get/", source="TikTok API notes of 2026, 2", permission=_CREATIVES)
POSTS = Endpoint("identity/video/info/", source="TikTok API notes of 2026, 2", permission=_CREATIVES)
IMAGES = Endpoint("file/image/ad/info/", source="TikTok API notes of 2026, 2", permission=_CREATIVES)
SUGGESTED_COVERS = Endpoint(
    "file/video/suggestcover/", source="TikTok API notes of 2026, 2", permission=_CREATIVES
)
DUPLICATION_READS = (IDENTITIES, POSTS, IMAGES, SUGGESTED_COVERS)
"""Read before an ad is duplicated: its identity, post and cover. Their exact permissions are not documented."""

AD_GROUP_CREATE = Endpoint("adgroup/create/", source="TikTok API notes 8.2")
AD_CREATE = Endpoint("ad/create/", source="TikTok API notes 8.3")
WRITES = (AD_GROUP_CREATE, AD_CREATE)
"""All endpoints this project writes to; sent with POST."""

PATH_RATE_LIMITS: Mapping[str, Mapping[str, tuple[int, int]]] = {
    AD_CREATE.path: {"basic": (5, 150), "advanced": (10, 200), "premium": (10, 300), "ultimate": (15, 300)},
}
"""Requests per second and per minute by path and tier of the app, for paths with a limit of their own.

Source: TikTok's page of rate limits, in GitHub api-evangelist/tiktok-ads (rate-limits/, 2026-08-13).
"""

SMART_PLUS_ENDPOINTS = (SMART_PLUS_AD_LIST, CREATIVE_OVERVIEW, CREATIVE_BREAKDOWN)
"""Read only of accounts with an Upgraded Smart+ campaign; v1.2 and TikTok's own sandbox do not have them."""

ENDPOINTS = (
    *(ADVERTISER_LIST, ADVERTISER_INFO, CAMPAIGN_LIST, AD_GROUP_LIST, AD_LIST, REPORT),
    *SMART_PLUS_ENDPOINTS,
)
"""The endpoints a refresh reads."""

OPTIONAL_PATHS = frozenset(endpoint.path for endpoint in ENDPOINTS if endpoint.is_optional)
