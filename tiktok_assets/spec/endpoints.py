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
_TASKS = "TikTok API notes 6.7"
REPORT_TASK_CREATE = Endpoint("report/task/create/", source=_TASKS, permission=_REPORTING)
REPORT_TASK_CHECK = Endpoint("report/task/check/", source=_TASKS, permission=_REPORTING)
REPORT_TASK_DOWNLOAD = Endpoint("report/task/download/", source=_TASKS, permission=_REPORTING)
REPORT_TASK_CANCEL = Endpoint("report/task/cancel/", source=_TASKS, permission=_REPORTING)
REPORT_TASKS = (REPORT_TASK_CREATE, REPORT_TASK_CHECK, REPORT_TASK_DOWNLOAD, REPORT_TASK_CANCEL)
"""Read long histories if `TIKTOK_REPORT_TASKS` allows it; creating and canceling a task is sent with POST."""

MAX_REPORT_TASKS_PER_DAY, MAX_REPORT_TASKS_PER_ACCOUNT_AND_HOUR = 4_500, 500
"""How many report tasks an app can create a day, and the user of a token for an account an hour."""

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

_GMV_MAX = "GMV Max"
GMV_MAX_SHOP_LIST = Endpoint(
    "gmv_max/store/list/",
    source="mengxingxinqing/tiktok_ads, get_tiktok_shops_for_gmv_max_campaigns",
    permission=_GMV_MAX,
)
GMV_MAX_REPORT = Endpoint(
    "gmv_max/report/get/",
    source="mengxingxinqing/tiktok_ads, run_a_gmv_max_campaign_report",
    permission=_GMV_MAX,
    is_optional=True,
)
GMV_MAX_READS = (GMV_MAX_SHOP_LIST, GMV_MAX_REPORT)
"""Read where an account may have a TikTok Shop. The pages name no permission; this is their group in the index."""

ACCESS_TOKEN = Endpoint("oauth2/access_token/", source="TikTok API notes 2")
"""Creates an access token; sent with POST and without a token."""

AD_GROUP_QUOTA = Endpoint("adgroup/quota/", source="TikTok API notes 5.7")
"""Read before an ad group is created."""

_CREATIVES = "Creative Management"
IDENTITIES = Endpoint("identity/get/", source="TikTok API notes of 2026, 2", permission=_CREATIVES)
POSTS = Endpoint(
    "identity/video/info/",
    source="mengxingxinqing/tiktok_ads, get_info_about_tiktok_posts",
    permission=_CREATIVES,
    is_optional=True,
)
IMAGES = Endpoint(
    "file/image/ad/info/", source="TikTok API notes of 2026, 2", permission=_CREATIVES, is_optional=True
)
SUGGESTED_COVERS = Endpoint(
    "file/video/suggestcover/", source="TikTok API notes of 2026, 2", permission=_CREATIVES
)
VIDEOS = Endpoint(
    "file/video/ad/info/",
    source="mengxingxinqing/tiktok_ads, get_info_about_videos",
    permission=_CREATIVES,
    is_optional=True,
)
DUPLICATION_READS = (IDENTITIES, POSTS, IMAGES, SUGGESTED_COVERS)
"""Read before an ad is duplicated: its identity, post and cover. Their exact permissions are not documented."""

SMART_PLUS_CAMPAIGN_LIST = Endpoint(
    "smart_plus/campaign/get/", source="mengxingxinqing/tiktok_ads, get_upgraded_smart_campaigns", permission=_ADS
)
SMART_PLUS_AD_GROUP_LIST = Endpoint(
    "smart_plus/adgroup/get/", source="mengxingxinqing/tiktok_ads, get_upgraded_smart_ad_groups", permission=_ADS
)

AD_GROUP_CREATE = Endpoint("adgroup/create/", source="TikTok API notes 8.2")
AD_CREATE = Endpoint("ad/create/", source="TikTok API notes 8.3")
SMART_PLUS_AD_GROUP_CREATE = Endpoint(
    "smart_plus/adgroup/create/", source="mengxingxinqing/tiktok_ads, create_an_upgraded_smart_ad_group"
)
SMART_PLUS_AD_CREATE = Endpoint(
    "smart_plus/ad/create/", source="mengxingxinqing/tiktok_ads, create_an_upgraded_smart_ad"
)
# /smart_plus/campaign/copy/task/create/ is not used: it needs an allow-list, copies whole campaigns, and the ad
# groups it creates are switched on unless each is switched off (TikTok API notes of 2026, 1).

AD_GROUP_STATUS = Endpoint(
    "adgroup/status/update/", source="mengxingxinqing/tiktok_ads, update_the_statuses_of_ad_groups"
)
AD_STATUS = Endpoint("ad/status/update/", source="mengxingxinqing/tiktok_ads, 26_ad_status_update")
SMART_PLUS_AD_GROUP_STATUS = Endpoint(
    "smart_plus/adgroup/status/update/",
    source="mengxingxinqing/tiktok_ads, update_the_operation_statuses_of_upgraded_smart_ad_groups",
)
SMART_PLUS_AD_STATUS = Endpoint(
    "smart_plus/ad/status/update/",
    source="mengxingxinqing/tiktok_ads, update_the_operation_statuses_of_upgraded_smart_ads",
)

CREATES = (AD_GROUP_CREATE, AD_CREATE, SMART_PLUS_AD_GROUP_CREATE, SMART_PLUS_AD_CREATE)
"""Create one object of a duplication each; sent with POST."""
STATUS_UPDATES = (AD_GROUP_STATUS, AD_STATUS, SMART_PLUS_AD_GROUP_STATUS, SMART_PLUS_AD_STATUS)
"""Switch off or delete what a duplication created, to undo it; sent with POST."""
WRITES = (*CREATES, *STATUS_UPDATES)
"""All endpoints this project writes to; sent with POST."""

PATH_RATE_LIMITS: Mapping[str, Mapping[str, tuple[int, int]]] = {
    AD_CREATE.path: {"basic": (5, 150), "advanced": (10, 200), "premium": (10, 300), "ultimate": (15, 300)},
    # TikTok's page of the endpoint says 1 a second, its page of rate limits 2.
    REPORT_TASK_CREATE.path: dict.fromkeys(("basic", "advanced", "premium", "ultimate"), (1, 60)),
    # It has a daily limit too, from 20,000 to 50,000 requests, which the morning refresh does not come near.
    GMV_MAX_REPORT.path: {"basic": (8, 240), "advanced": (12, 360), "premium": (20, 600), "ultimate": (20, 600)},
}
"""Requests per second and per minute by path and tier of the app, for paths with a limit of their own.

Sources: TikTok's page of rate limits, in GitHub api-evangelist/tiktok-ads (rate-limits/, 2026-08-13);
mengxingxinqing/tiktok_ads, run_a_gmv_max_campaign_report.
"""

SMART_PLUS_ENDPOINTS = (SMART_PLUS_AD_LIST, CREATIVE_OVERVIEW, CREATIVE_BREAKDOWN)
"""Read only of accounts with an Upgraded Smart+ campaign; v1.2 and TikTok's own sandbox do not have them."""

ENDPOINTS = (
    *(ADVERTISER_LIST, ADVERTISER_INFO, CAMPAIGN_LIST, AD_GROUP_LIST, AD_LIST, REPORT),
    *SMART_PLUS_ENDPOINTS,
)
"""The endpoints a refresh reads."""

MEDIA_READS = (VIDEOS, IMAGES, POSTS)
"""Read for the videos, images and posts of ads that are not stored yet."""

OPTIONAL_PATHS = frozenset(
    endpoint.path for endpoint in (*ENDPOINTS, *GMV_MAX_READS, *MEDIA_READS) if endpoint.is_optional
)
