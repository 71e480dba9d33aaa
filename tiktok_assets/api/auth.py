"""Authorize the app: build the URL that a person opens, and exchange the resulting code for an access token."""

from dataclasses import dataclass
from urllib.parse import urlencode

from tiktok_assets.api.client import REDIRECTS, ApiResponse, Client, RequestStats
from tiktok_assets.api.errors import ContractError
from tiktok_assets.api.transport import HttpResponse
from tiktok_assets.spec import ACCESS_TOKEN

AUTHORIZATION_PORTAL_URL = "https://business-api.tiktok.com/portal/auth"
"""The page on which a person selects ad accounts; it is the same for every API host (API notes 2)."""


@dataclass(frozen=True, slots=True)
class AccessGrant:
    """The result of a token exchange.

    Attributes:
        token: the access token; never log or print it.
        advertiser_ids: the ad accounts that were selected for it.
    """

    token: str
    advertiser_ids: tuple[str, ...]

    def __repr__(self) -> str:
        return f"AccessGrant({', '.join(self.advertiser_ids)})"


def build_authorization_url(app_id: str, state: str, redirect_uri: str | None = None) -> str:
    """Build the URL at which a person grants ad accounts to the app.

    >>> build_authorization_url("7", "s", "https://agency.example/callback/")
    'https://business-api.tiktok.com/portal/auth?app_id=7&state=s&redirect_uri=https%3A%2F%2Fagency.example%2Fcallback%2F'
    """
    parameters = {"app_id": app_id, "state": state, "redirect_uri": redirect_uri}
    query = urlencode({name: value for name, value in parameters.items() if value})
    return f"{AUTHORIZATION_PORTAL_URL}?{query}"


class AuthClient(Client):
    """A client without a token, which can only request one."""

    def __init__(self, base_url: str) -> None:
        super().__init__(base_url, None)

    def exchange_code(self, auth_code: str, app_id: str, secret: str) -> AccessGrant:
        """Exchange an authorization code for an access token.

        The request is sent once: a code may be used up even if the response to it was lost.

        Raises:
            TikTokError: if the host rejects the code, cannot be reached, or returns no token.
        """
        body = {"app_id": app_id, "secret": secret, "auth_code": auth_code}
        request = self._http.build_request("POST", self.build_url(ACCESS_TOKEN), json=body)
        response = self._send(ACCESS_TOKEN, request, RequestStats())
        return self._parse_grant(self._parse(ACCESS_TOKEN, body, self._refuse_redirect(response)))

    def _refuse_redirect(self, response: HttpResponse) -> HttpResponse:
        """Return the response unless it is a redirect; the app's secret must not be sent to another host."""
        if response.status_code in REDIRECTS:
            target = response.url.join(response.headers.get("location", ""))
            raise ContractError(
                f"the host redirects to {target.host}; the app's secret is not sent there",
                endpoint=ACCESS_TOKEN.path,
            )
        return response

    def _parse_grant(self, response: ApiResponse) -> AccessGrant:
        token, ids = response.data.get("access_token"), response.data.get("advertiser_ids")
        if not isinstance(token, str) or not token or not isinstance(ids, list):
            raise ContractError(
                "the response has no access token", endpoint=ACCESS_TOKEN.path, request_id=response.request_id
            )
        return AccessGrant(token, tuple(str(advertiser_id) for advertiser_id in ids))
