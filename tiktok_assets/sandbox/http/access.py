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

from tiktok_assets.sandbox.http.errors import TEXTS, ApiError

CODE_SECONDS = 3600  # an auth_code is good for one hour, once (dossier 2)
# Bare numbers, one of them past 2^53: the trap of dossier 1.5, 2.1, 10 #4.
TOKEN_SCOPE = (4, 20, 7_543_056_879_933_489_153)


@dataclass
class AuthCode:
    """One authorization code; `issued` is an instant of the world's clock."""

    app_id: str
    issued: int
    used: bool = False


@dataclass
class Auth:
    """The apps with their secrets, the live tokens with their apps, and the codes handed out."""

    seed: int
    apps: dict[str, str]
    tokens: dict[str, str]
    codes: dict[str, AuthCode] = field(default_factory=dict)
    _made: int = 0

    def app_of(self, token: str) -> str:
        """Return the app a token belongs to; a wrong or revoked one is 40105."""
        if token not in self.tokens:
            raise ApiError.of(40105)
        return self.tokens[token]

    def check_app(self, app_id: str, secret: str, code: int) -> None:
        """Refuse an unknown app or a wrong secret."""
        if self.apps.get(app_id) != secret:
            raise ApiError(code, "The app_id or the secret is incorrect.")

    def issue_code(self, app_id: str, now: int) -> str:
        """Return a fresh auth_code, as the browser would bring it back."""
        code = self._secret("code")[:40]
        self.codes[code] = AuthCode(app_id, now)
        return code

    def exchange(self, app_id: str, auth_code: str, now: int, refusal: int) -> str:
        """Return a token for a code: once, within the hour, for its own app; else the code of the refusal."""
        code = self.codes.get(auth_code)
        if code is None or code.used or code.app_id != app_id or not 0 <= now - code.issued < CODE_SECONDS:
            raise ApiError(refusal, TEXTS[40110])
        code.used = True
        token = f"sandbox-token-{self._secret('token')[:26]}"
        self.tokens[token] = app_id
        return token

    def revoke(self, token: str) -> None:
        """End a token for good."""
        self.tokens.pop(token, None)

    def _secret(self, kind: str) -> str:
        self._made += 1
        return sha256(f"{self.seed}:{kind}:{self._made}".encode()).hexdigest()


LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})
JSON = "application/json"
WRITE_METHODS = frozenset({"POST", "DELETE"})
TRUSTED_FETCH_SITES = frozenset({"same-origin", "none"})


class LoopbackGuard:
    """Puts `refusal` before an application."""

    def __init__(self, application: ASGIApp) -> None:
        self._application = application

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a refused request, and pass any other on."""
        refused = refusal_of(Request(scope)) if scope["type"] == "http" else None
        if refused:
            await JSONResponse({"error": refused[0]}, refused[1])(scope, receive, send)
        else:
            await self._application(scope, receive, send)


def refusal_of(request: Request) -> tuple[str, int] | None:
    """Return why a request to any route is refused, in one sentence, and the HTTP status; None if it is not."""
    host = _host_name(f"//{request.headers.get('host', '')}")
    if host not in LOOPBACK:
        return "The sandbox answers under localhost, 127.0.0.1 and [::1] only; use one of them as host.", 421
    if _is_cross_site(request):
        return "The sandbox does not answer web pages of other sites.", 403
    return None


def control_refusal_of(request: Request, body: bytes) -> tuple[str, int] | None:
    """Return why a request to a control route is refused, and the HTTP status; None if it is not."""
    if request.client is None or request.client.host not in LOOPBACK:
        return "The control routes answer on loopback only.", 403
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if request.method in WRITE_METHODS and kind != JSON and (body or "origin" in request.headers):
        return f"A control route takes JSON: send the header Content-Type: {JSON}.", 415
    return None


def _is_cross_site(request: Request) -> bool:
    """Whether a browser says that another site's page sends this; programs say nothing."""
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
