"""Map paths to endpoints by version and method, and check each request before it runs (API notes 1.3)."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tiktok_assets.sandbox.http import oauth
from tiktok_assets.sandbox.http.context import Context
from tiktok_assets.sandbox.http.errors import ApiError
from tiktok_assets.sandbox.http.rate_limits import Limiter, Penalties
from tiktok_assets.sandbox.reads import media, posts, v12
from tiktok_assets.sandbox.reads.entity_lists import ENDPOINTS as LISTS
from tiktok_assets.sandbox.reads.reports import report
from tiktok_assets.sandbox.writes import ads, campaigns, status_updates

REPORT = "report/integrated/get"
Answer = dict[str, Any]


@dataclass(frozen=True)
class Endpoint:
    """One endpoint.

    Attributes:
        answer: What it does.
        method: Its verb.
        open: It needs no token.
        writes: It changes campaigns, ad groups or ads.
        flat: What it tells stands beside the code, not in `data`.
    """

    answer: Callable[[Context], Answer]
    method: str = "GET"
    open: bool = False
    writes: bool = False
    flat: bool = False


def _write_endpoint(answer: Callable[[Context], Answer]) -> Endpoint:
    return Endpoint(answer, "POST", writes=True)


V13 = {
    **{path: Endpoint(answer) for path, answer in LISTS.items()},
    REPORT: Endpoint(report),
    "adgroup/quota": Endpoint(status_updates.ad_group_quota),
    "identity/get": Endpoint(posts.identity_list),
    "identity/video/info": Endpoint(posts.post_info),
    "file/image/ad/info": Endpoint(media.image_info),
    "file/video/suggestcover": Endpoint(media.suggested_covers),
    "oauth2/access_token": Endpoint(oauth.access_token, "POST", open=True),
    "oauth/token": Endpoint(oauth.token, "POST", open=True, flat=True),
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
}
_ADS = Endpoint(v12.translate_list("ad", v12.AD_NAMES, LISTS["ad/get"]))
V12 = {
    "oauth2/access_token": V13["oauth2/access_token"],
    "oauth2/advertiser/get": Endpoint(v12.translate_list("advertiser", {}, LISTS["oauth2/advertiser/get"])),
    "advertiser/info": Endpoint(v12.translate_list("advertiser", v12.ADVERTISER_NAMES, LISTS["advertiser/info"])),
    "campaign/get": Endpoint(v12.translate_list("campaign", v12.CAMPAIGN_NAMES, LISTS["campaign/get"])),
    "adgroup/get": Endpoint(v12.translate_list("ad_group", v12.AD_GROUP_NAMES, LISTS["adgroup/get"])),
    "ad/get": _ADS,
    "ads/get": _ADS,  # as SEED writes it (dossier 0.1 #1)
    "reports/integrated/get": Endpoint(v12.translate_report(report)),
}
VERSIONS = {"v1.3": V13, "v1.2": V12}
NOT_IN_TIKTOK_SANDBOX = frozenset(("advertiser/info", "oauth2/advertiser/get"))  # dossier 2


def find_endpoint(version: str, path: str, method: str) -> Endpoint:
    """Return the endpoint, or raise 40006 for a version and 40400 for a route that is not there."""
    if version not in VERSIONS:  # dossier 1.2, 3.1
        raise ApiError.of(40006, http_status=403)
    found = VERSIONS[version].get(path)
    if found is None or found.method != method:  # dossier 3.2; the status is uncertain
        raise ApiError.of(40400, http_status=404)
    return found


def run_endpoint(context: Context, endpoint: Endpoint, limiter: Limiter, penalties: Penalties) -> Answer:
    """Answer one request, or raise: token first, then (ours) limits, then shape, grants and data."""
    switches = context.switches
    if not endpoint.open:
        if not context.token:
            raise ApiError.of(40104)
        context.auth.app_of(context.token)
    account = context.body.get("advertiser_id") or context.params.text("advertiser_id")
    limiter.admit(context.path, account if isinstance(account, str) else None)
    if switches.tiktok_sandbox and context.path in NOT_IN_TIKTOK_SANDBOX:
        raise ApiError(40009, "This endpoint is not supported in the sandbox.")
    wanted = {context.path, "writes"} if endpoint.writes else {context.path}
    if wanted & set(switches.no_scope_for):  # dossier 2.1
        raise ApiError(40001, f"The access token lacks the required scope for endpoint /{context.path}/.")
    if context.path.endswith("integrated/get") and switches.timeout_penalties:
        penalties.admit(context.params.values(), switches.blocked_query_code)
    if context.version == "v1.2":
        context.headers[v12.DEPRECATION_HEADER] = v12.DEPRECATION_TEXT
    return endpoint.answer(context)
