"""The authorisation of an app: the address a person opens, and the exchange of what it brings for a token."""

from dataclasses import dataclass
from urllib.parse import urlencode

from tiktok_assets.api.client import REDIRECTS, ApiResponse, Client, RequestStats
from tiktok_assets.api.errors import ContractError
from tiktok_assets.api.transport import HttpResponse
from tiktok_assets.spec.endpoints import ACCESS_TOKEN

AUTHORIZATION_PORTAL_URL = "https://business-api.tiktok.com/portal/auth"
"""Where a person ticks the accounts, whatever host the API is asked at (dossier 2)."""


@dataclass(frozen=True, slots=True)
class AccessGrant:
    """What an exchange brought: the token, which must be shown nowhere, and the accounts ticked for it."""

    token: str
    advertiser_ids: tuple[str, ...]

    def __repr__(self) -> str:
        return f"Granted({', '.join(self.advertiser_ids)})"


def build_authorization_url(app_id: str, state: str, redirect_uri: str | None = None) -> str:
    """The address at which a person grants accounts to the app.

    >>> authorization_url("7", "s", "https://agency.example/callback/")
    'https://business-api.tiktok.com/portal/auth?app_id=7&state=s&redirect_uri=https%3A%2F%2Fagency.example%2Fcallback%2F'
    """
    asked = {"app_id": app_id, "state": state, "redirect_uri": redirect_uri}
    return f"{AUTHORIZATION_PORTAL_URL}?{urlencode({name: value for name, value in asked.items() if value})}"


class AuthClient(Client):
    """A client that has no token yet; it can only fetch one."""

    def __init__(self, base_url: str) -> None:
        super().__init__(base_url, None)

    def token_for(self, auth_code: str, app_id: str, secret: str) -> AccessGrant:
        """Exchange an `auth_code` for a token. Asked once: a code whose answer was lost may be spent.

        Raises:
            TikTokError: if the host refuses, cannot be reached, or answers something else.
        """
        body = {"app_id": app_id, "secret": secret, "auth_code": auth_code}
        request = self._http.build_request("POST", self.address(ACCESS_TOKEN), json=body)
        response = self._answered(ACCESS_TOKEN, request, RequestStats())
        return self._granted(self._judged(ACCESS_TOKEN, body, self._direct(response)))

    def _direct(self, response: HttpResponse) -> HttpResponse:
        """The answer, unless it sends us elsewhere: the app's secret is carried nowhere else."""
        if response.status_code in REDIRECTS:
            target = response.url.join(response.headers.get("location", ""))
            raise ContractError(
                f"the host redirects to {target.host}; the app's secret is not carried there",
                endpoint=ACCESS_TOKEN.path,
            )
        return response

    def _granted(self, answer: ApiResponse) -> AccessGrant:
        token, ids = answer.data.get("access_token"), answer.data.get("advertiser_ids")
        if not isinstance(token, str) or not token or not isinstance(ids, list):
            raise ContractError(
                "the answer holds no token", endpoint=ACCESS_TOKEN.path, request_id=answer.request_id
            )
        return AccessGrant(token, tuple(str(one) for one in ids))
