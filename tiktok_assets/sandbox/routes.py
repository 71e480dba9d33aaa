"""Map paths to endpoints by version and method, and check each request before it runs (API notes 1.3)."""

from collections.abc import Callable
from dataclasses import dataclass

from tiktok_assets.sandbox.http import oauth
from tiktok_assets.sandbox.http.context import Context, ResponseData
from tiktok_assets.sandbox.http.errors import ApiError
from tiktok_assets.sandbox.http.rate_limits import Limiter, Penalties
from tiktok_assets.sandbox.reads import gmv_max_lists, material_reports, media, posts, v12
from tiktok_assets.sandbox.reads.entity_lists import ENDPOINTS as LISTS
from tiktok_assets.sandbox.reads.gmv_max_report import gmv_max_report
from tiktok_assets.sandbox.reads.report_tasks import ENDPOINTS as REPORT_TASKS
from tiktok_assets.sandbox.reads.reports import report
from tiktok_assets.sandbox.writes import (
    ads,
    campaigns,
    smart_plus_ads,
    smart_plus_campaigns,
    smart_plus_status,
    status_updates,
)

REPORT = "report/integrated/get"


@dataclass(frozen=True)
class Endpoint:
    """An endpoint of the API.

    Attributes:
        handler: Returns the data of the response.
        method: The HTTP method.
        is_public: Whether it needs no token.
        is_write: Whether it changes campaigns, ad groups or ads.
        is_flat: Whether its data are at the top level of the response instead of in `data`.
    """

    handler: Callable[[Context], ResponseData]
    method: str = "GET"
    is_public: bool = False
    is_write: bool = False
    is_flat: bool = False


def _write_endpoint(handler: Callable[[Context], ResponseData]) -> Endpoint:
    return Endpoint(handler, "POST", is_write=True)


V13 = {
    **{path: Endpoint(handler) for path, handler in LISTS.items()},
    REPORT: Endpoint(report),
    **{path: Endpoint(handler, method) for path, (method, handler) in REPORT_TASKS.items()},
    **{path: Endpoint(handler) for path, handler in material_reports.ENDPOINTS.items()},
    **{path: Endpoint(handler) for path, handler in gmv_max_lists.ENDPOINTS.items()},
    "gmv_max/report/get": Endpoint(gmv_max_report),
    "adgroup/quota": Endpoint(status_updates.ad_group_quota),
    "identity/get": Endpoint(posts.identity_list),
    "identity/video/info": Endpoint(posts.post_info),
    "file/image/ad/info": Endpoint(media.image_info),
    "file/video/ad/info": Endpoint(media.video_info),
    "file/video/suggestcover": Endpoint(media.suggested_covers),
    "oauth2/access_token": Endpoint(oauth.access_token, "POST", is_public=True),
    "oauth/token": Endpoint(oauth.token, "POST", is_public=True, is_flat=True),
    "user/info": Endpoint(oauth.user_info),
    "oauth2/revoke_token": Endpoint(oauth.revoke_token, "POST"),
    "campaign/create": _write_endpoint(campaigns.create_campaign),
    "campaign/update": _write_endpoint(campaigns.update_campaign),
    "campaign/status/update": _write_endpoint(status_updates.campaign_status),
    "adgroup/create": _write_endpoint(campaigns.create_ad_group),
    "adgroup/update": _write_endpoint(campaigns.update_ad_group),
    "adgroup/status/update": _write_endpoint(status_updates.ad_group_status),
    "adgroup/budget/update": _write_endpoint(status_updates.ad_group_budgets),
    "ad/create": _write_endpoint(ads.create_ads),
    "ad/update": _write_endpoint(ads.update_ads),
    "ad/status/update": _write_endpoint(status_updates.ad_status),
    "smart_plus/campaign/create": _write_endpoint(smart_plus_campaigns.create_campaign),
    "smart_plus/campaign/status/update": _write_endpoint(smart_plus_status.campaign_status),
    "smart_plus/adgroup/create": _write_endpoint(smart_plus_campaigns.create_ad_group),
    "smart_plus/adgroup/status/update": _write_endpoint(smart_plus_status.ad_group_status),
    "smart_plus/ad/create": _write_endpoint(smart_plus_ads.create_ad),
    "smart_plus/ad/status/update": _write_endpoint(smart_plus_status.ad_status),
}
_ADS = Endpoint(v12.translate_list("ad", v12.AD_NAMES, LISTS["ad/get"]))
V12 = {
    "oauth2/access_token": V13["oauth2/access_token"],
    "oauth2/advertiser/get": Endpoint(v12.translate_list("advertiser", {}, LISTS["oauth2/advertiser/get"])),
    "advertiser/info": Endpoint(v12.translate_list("advertiser", v12.ADVERTISER_NAMES, LISTS["advertiser/info"])),
    "campaign/get": Endpoint(v12.translate_list("campaign", v12.CAMPAIGN_NAMES, LISTS["campaign/get"])),
    "adgroup/get": Endpoint(v12.translate_list("ad_group", v12.AD_GROUP_NAMES, LISTS["adgroup/get"])),
    "ad/get": _ADS,
    "ads/get": _ADS,  # the path in the tutorial (API notes 0.1 #1)
    "reports/integrated/get": Endpoint(v12.translate_report(report)),
}
VERSIONS = {"v1.3": V13, "v1.2": V12}
NOT_IN_TIKTOK_SANDBOX = frozenset(("advertiser/info", "oauth2/advertiser/get", *REPORT_TASKS))  # API notes 2, 6.8


def find_endpoint(version: str, path: str, method: str) -> Endpoint:
    """Return the endpoint of a path.

    Raises:
        ApiError: 40006, the version does not exist; 40400, the path or method does not exist.
    """
    if version not in VERSIONS:  # API notes 1.2, 3.1
        raise ApiError.from_code(40006, http_status=403)
    endpoint = VERSIONS[version].get(path)
    if endpoint is None or endpoint.method != method:  # API notes 3.2; the status is uncertain
        raise ApiError.from_code(40400, http_status=404)
    return endpoint


def run_endpoint(context: Context, endpoint: Endpoint, limiter: Limiter, penalties: Penalties) -> ResponseData:
    """Run an endpoint after all checks: token first, then (our order) limits, scope, parameters, grants and data.

    Raises:
        ApiError: A check failed; the error is the response.
    """
    switches = context.switches
    if not endpoint.is_public:
        if not context.token:
            raise ApiError.from_code(40104)
        context.auth.app_id_of(context.token)
    account = context.body.get("advertiser_id") or context.params.text("advertiser_id")
    limiter.admit(context.path, account if isinstance(account, str) else None)
    if switches.tiktok_sandbox and context.path in NOT_IN_TIKTOK_SANDBOX:
        raise ApiError(40009, "This endpoint is not supported in the sandbox.")
    scopes = {context.path, context.path.partition("/")[0]} | ({"writes"} if endpoint.is_write else set())
    if scopes & set(switches.no_scope_for):  # API notes 2.1
        raise ApiError(40001, f"The access token lacks the required scope for endpoint /{context.path}/.")
    if context.path.endswith("integrated/get") and switches.timeout_penalties:
        penalties.check(context.params.values(), switches.blocked_query_code)
    if context.version == "v1.2":
        context.headers[v12.DEPRECATION_HEADER] = v12.DEPRECATION_TEXT
    return endpoint.handler(context)
