"""The endpoints of the Marketing API v1.3 this project reads, a row each."""

from collections.abc import Mapping
from dataclasses import dataclass

MAX_PAGE_SIZE = 1000
"""Rows a page may hold, entities and reports alike (dossier 5.1, 6.1)."""

MAX_IDS_PER_CALL = 100
"""Ids one `advertiser/info` call or one id filter may name (dossier 5.1, 5.3)."""

MAX_DAYS_PER_REPORT = 30
"""Days one report with `stat_time_day` may span, both ends included (dossier 6.3)."""

MAX_METRICS_PER_REPORT = 100
"""Metrics, attributes among them, one report should ask for (dossier 6.1: best practice, no schema limit)."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One operation; a GET unless its row says otherwise.

    Attributes:
        path: below `/open_api/{version}/`; documented paths end with a slash.
        source: where the rules were read.
        permission: what is ticked on the app's page for it (tiktok_api.md section 2.1).
        penalizes_repeats: whether a query that timed out must shrink before it is sent again (dossier 4.3).
        parses_rows_separately: whether its rows are so many that they are parsed apart from the answer around them.
    """

    path: str
    source: str
    permission: str = ""
    penalizes_repeats: bool = False
    parses_rows_separately: bool = False


_ACCOUNTS, _ADS, _REPORTING = "Ad Account Management", "Ads Management", "Reporting"

ADVERTISER_LIST = Endpoint("oauth2/advertiser/get/", source="tiktok_api.md section 2", permission=_ACCOUNTS)
ADVERTISER_INFO = Endpoint("advertiser/info/", source="tiktok_api.md section 5.3", permission=_ACCOUNTS)
CAMPAIGN_LIST = Endpoint("campaign/get/", source="tiktok_api.md sections 5.1, 5.2", permission=_ADS)
AD_GROUP_LIST = Endpoint("adgroup/get/", source="tiktok_api.md sections 5.1, 5.2", permission=_ADS)
AD_LIST = Endpoint("ad/get/", source="tiktok_api.md sections 5.1, 5.2", permission=_ADS)
REPORT = Endpoint(
    "report/integrated/get/",
    source="tiktok_api.md section 6",
    permission=_REPORTING,
    penalizes_repeats=True,
    parses_rows_separately=True,
)

ACCESS_TOKEN = Endpoint("oauth2/access_token/", source="tiktok_api.md section 2")
"""The one that is posted to, and needs no token: it makes one."""

AD_GROUP_QUOTA = Endpoint("adgroup/quota/", source="tiktok_api.md section 5.7")
"""Asked before an ad group is made, and by nothing else."""

_CREATIVES = "Creative Management"
IDENTITIES = Endpoint("identity/get/", source="tiktok_api_2026.md section 2", permission=_CREATIVES)
POSTS = Endpoint("identity/video/info/", source="tiktok_api_2026.md section 2", permission=_CREATIVES)
IMAGES = Endpoint("file/image/ad/info/", source="tiktok_api_2026.md section 2", permission=_CREATIVES)
SUGGESTED_COVERS = Endpoint(
    "file/video/suggestcover/", source="tiktok_api_2026.md section 2", permission=_CREATIVES
)
DUPLICATION_READS = (IDENTITIES, POSTS, IMAGES, SUGGESTED_COVERS)
"""Asked before an ad is copied: its identity, its post and its cover. Which permission they need is uncertain."""

AD_GROUP_CREATE = Endpoint("adgroup/create/", source="tiktok_api.md section 8.2")
AD_CREATE = Endpoint("ad/create/", source="tiktok_api.md section 8.3")
WRITES = (AD_GROUP_CREATE, AD_CREATE)
"""All this project ever writes; they are posted to."""

PATH_RATE_LIMITS: Mapping[str, Mapping[str, tuple[int, int]]] = {
    AD_CREATE.path: {"basic": (5, 150), "advanced": (10, 200), "premium": (10, 300), "ultimate": (15, 300)},
}
"""Requests a second and a minute that an app of each tier may send to one path, where it has limits of its own.

Source: TikTok's page of rate limits as GitHub api-evangelist/tiktok-ads has it (rate-limits/, 2026-08-13).
"""

ENDPOINTS = (ADVERTISER_LIST, ADVERTISER_INFO, CAMPAIGN_LIST, AD_GROUP_LIST, AD_LIST, REPORT)
"""What a refresh reads."""
