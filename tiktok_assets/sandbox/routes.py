"""Which paths there are, by version and verb, and what must hold before one is answered (dossier 1.3, 10 #3)."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tiktok_assets.sandbox import ad_writes, campaign_writes, creatives, dialect, oauth, posts, status_writes
from tiktok_assets.sandbox.context import Context
from tiktok_assets.sandbox.errors import ApiError
from tiktok_assets.sandbox.limits import Limiter
from tiktok_assets.sandbox.listing import ENDPOINTS as LISTS
from tiktok_assets.sandbox.penalties import Penalties
from tiktok_assets.sandbox.reports import report

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


def _write(answer: Callable[[Context], Answer]) -> Endpoint:
    return Endpoint(answer, "POST", writes=True)


V13 = {
    **{path: Endpoint(answer) for path, answer in LISTS.items()},
    REPORT: Endpoint(report),
    "adgroup/quota": Endpoint(status_writes.ad_group_quota),
    "identity/get": Endpoint(posts.identity_list),
    "identity/video/info": Endpoint(posts.post_info),
    "file/image/ad/info": Endpoint(creatives.image_info),
    "file/video/suggestcover": Endpoint(creatives.suggested_covers),
    "oauth2/access_token": Endpoint(oauth.access_token, "POST", open=True),
    "oauth/token": Endpoint(oauth.token, "POST", open=True, flat=True),
    "user/info": Endpoint(oauth.user_info),
    "oauth2/revoke_token": Endpoint(oauth.revoke_token, "POST"),
    "campaign/create": _write(campaign_writes.create_campaign),
    "campaign/update": _write(campaign_writes.update_campaign),
    "campaign/status/update": _write(status_writes.campaign_status),
    "adgroup/create": _write(campaign_writes.create_ad_group),
    "adgroup/update": _write(campaign_writes.update_ad_group),
    "adgroup/status/update": _write(status_writes.ad_group_status),
    "adgroup/budget/update": _write(status_writes.ad_group_budgets),
    "ad/create": _write(ad_writes.create_ads),
    "ad/update": _write(ad_writes.update_ads),
    "ad/status/update": _write(status_writes.ad_status),
}
_ADS = Endpoint(dialect.lists("ad", dialect.AD, LISTS["ad/get"]))
V12 = {
    "oauth2/access_token": V13["oauth2/access_token"],
    "oauth2/advertiser/get": Endpoint(dialect.lists("advertiser", {}, LISTS["oauth2/advertiser/get"])),
    "advertiser/info": Endpoint(dialect.lists("advertiser", dialect.ADVERTISER, LISTS["advertiser/info"])),
    "campaign/get": Endpoint(dialect.lists("campaign", dialect.CAMPAIGN, LISTS["campaign/get"])),
    "adgroup/get": Endpoint(dialect.lists("ad_group", dialect.AD_GROUP, LISTS["adgroup/get"])),
    "ad/get": _ADS,
    "ads/get": _ADS,  # as SEED writes it (dossier 0.1 #1)
    "reports/integrated/get": Endpoint(dialect.reports(report)),
}
VERSIONS = {"v1.3": V13, "v1.2": V12}
NOT_IN_TIKTOK_SANDBOX = frozenset(("advertiser/info", "oauth2/advertiser/get"))  # dossier 2


def endpoint_of(version: str, path: str, method: str) -> Endpoint:
    """Return the endpoint, or raise 40006 for a version and 40400 for a route that is not there."""
    if version not in VERSIONS:  # dossier 1.2, 3.1
        raise ApiError.of(40006, http_status=403)
    found = VERSIONS[version].get(path)
    if found is None or found.method != method:  # dossier 3.2; the status is uncertain
        raise ApiError.of(40400, http_status=404)
    return found


def run(context: Context, endpoint: Endpoint, limiter: Limiter, penalties: Penalties) -> Answer:
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
        context.headers[dialect.DEPRECATION_HEADER] = dialect.DEPRECATION_TEXT
    return endpoint.answer(context)
