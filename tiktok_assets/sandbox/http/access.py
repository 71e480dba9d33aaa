"""Check who may call: programs on this machine, apps and access tokens (API notes 2).

Listening on loopback is not enough: a web page open in a browser on this machine can reach it too, with a form, an
image, or a host name that resolves to 127.0.0.1. So the `Host` header must name loopback, requests that a browser
marks as cross-site are refused, and control routes accept JSON only, which a form cannot send.
"""

from dataclasses import dataclass, field
from hashlib import sha256
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from tiktok_assets.sandbox.http.content import CONTENT_PATH
from tiktok_assets.sandbox.http.errors import TEXTS, ApiError

CODE_SECONDS = 3600  # an auth_code is valid for one hour and one use (API notes 2)
# Bare numbers, one of them above 2^53, which JSON parsers may round (API notes 1.5, 2.1, 10 #4).
TOKEN_SCOPE = (4, 20, 7_543_056_879_933_489_153)


@dataclass
class AuthCode:
    """An authorization code; `issued` is in epoch seconds of the world's clock."""

    app_id: str
    issued: int
    used: bool = False


@dataclass
class Auth:
    """The apps, tokens and authorization codes.

    Attributes:
        seed: The seed of codes and tokens.
        apps: The secret of each app, by its id.
        tokens: The app id of each valid token.
        codes: The issued authorization codes.
    """

    seed: int
    apps: dict[str, str]
    tokens: dict[str, str]
    codes: dict[str, AuthCode] = field(default_factory=dict)
    _secret_count: int = 0

    def app_id_of(self, token: str) -> str:
        """Return the app id of a token.

        Raises:
            ApiError: 40105, the token is wrong or revoked.
        """
        if token not in self.tokens:
            raise ApiError.from_code(40105)
        return self.tokens[token]

    def check_app(self, app_id: str, secret: str, code: int) -> None:
        """Raise ApiError with `code` for an unknown app or a wrong secret."""
        if self.apps.get(app_id) != secret:
            raise ApiError(code, "The app_id or the secret is incorrect.")

    def issue_code(self, app_id: str, now: int) -> str:
        """Return a new auth_code, as a redirect of the browser would contain it."""
        code = self._new_secret("code")[:40]
        self.codes[code] = AuthCode(app_id, now)
        return code

    def exchange_code(self, app_id: str, auth_code: str, now: int, error_code: int) -> str:
        """Exchange a code of the app for a token, once and within one hour.

        Raises:
            ApiError: With `error_code`, the auth_code is wrong, used or too old.
        """
        code = self.codes.get(auth_code)
        if code is None or code.used or code.app_id != app_id or not 0 <= now - code.issued < CODE_SECONDS:
            raise ApiError(error_code, TEXTS[40110])
        code.used = True
        token = f"sandbox-token-{self._new_secret('token')[:26]}"
        self.tokens[token] = app_id
        return token

    def revoke(self, token: str) -> None:
        """Revoke a token."""
        self.tokens.pop(token, None)

    def _new_secret(self, kind: str) -> str:
        self._secret_count += 1
        return sha256(f"{self.seed}:{kind}:{self._secret_count}".encode()).hexdigest()


LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})
JSON = "application/json"
WRITE_METHODS = frozenset({"POST", "DELETE"})
TRUSTED_FETCH_SITES = frozenset({"same-origin", "none"})


class LoopbackGuard:
    """ASGI middleware that answers refused requests itself (see `refusal_of`)."""

    def __init__(self, application: ASGIApp) -> None:
        self._application = application

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a refused request, and pass on any other."""
        refusal = refusal_of(Request(scope)) if scope["type"] == "http" else None
        if refusal:
            await JSONResponse({"error": refusal[0]}, refusal[1])(scope, receive, send)
        else:
            await self._application(scope, receive, send)


def refusal_of(request: Request) -> tuple[str, int] | None:
    """Return the error text and HTTP status for a request to any route, or None if it is allowed."""
    host = _host_name(f"//{request.headers.get('host', '')}")
    if host not in LOOPBACK:
        return "The sandbox answers under localhost, 127.0.0.1 and [::1] only; use one of them as host.", 421
    if _is_cross_site(request) and not request.url.path.startswith(CONTENT_PATH):  # pages may show pictures
        return "The sandbox does not answer web pages of other sites.", 403
    return None


def control_refusal_of(request: Request, body: bytes) -> tuple[str, int] | None:
    """Return the error text and HTTP status for a request to a control route, or None if it is allowed."""
    if request.client is None or request.client.host not in LOOPBACK:
        return "The control routes answer on loopback only.", 403
    content_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if request.method in WRITE_METHODS and content_type != JSON and (body or "origin" in request.headers):
        return f"A control route takes JSON: send the header Content-Type: {JSON}.", 415
    return None


def _is_cross_site(request: Request) -> bool:
    """Return whether a browser marks the request as sent by another site's page; programs send no such headers."""
    site = request.headers.get("sec-fetch-site")
    if site is not None and site not in TRUSTED_FETCH_SITES:
        return True
    origin = request.headers.get("origin")
    return origin is not None and origin != f"http://{request.headers.get('host', '')}"


def _host_name(address: str) -> str:
    try:
        return (urlsplit(address).hostname or "").lower()
    except ValueError:
        return ""
