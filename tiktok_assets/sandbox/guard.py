"""Decide which requests the sandbox answers: those of programs on this machine, not of a web page in its browser.

Loopback alone does not tell them apart: the browser of the same machine reaches it too, by a form or an image of
any site, or by a name that site has pointed at 127.0.0.1. So the name in `Host` must be loopback's own, and what a
browser marks as another site's request is refused; what changes the world must be JSON, which no form can send.
"""

from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})
JSON = "application/json"
CHANGES = frozenset({"POST", "DELETE"})
OWN_SITE = frozenset({"same-origin", "none"})


class Guard:
    """Puts `refusal` before an application."""

    def __init__(self, application: ASGIApp) -> None:
        self._application = application

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a refused request, and pass any other on."""
        refused = refusal(Request(scope)) if scope["type"] == "http" else None
        if refused:
            await JSONResponse({"error": refused[0]}, refused[1])(scope, receive, send)
        else:
            await self._application(scope, receive, send)


def refusal(request: Request) -> tuple[str, int] | None:
    """Return why a request to any route is refused, in one sentence, and the HTTP status; None if it is not."""
    host = _name(f"//{request.headers.get('host', '')}")
    if host not in LOOPBACK:
        return "The sandbox answers under localhost, 127.0.0.1 and [::1] only; use one of them as host.", 421
    if _is_foreign(request):
        return "The sandbox does not answer web pages of other sites.", 403
    return None


def control_refusal(request: Request, body: bytes) -> tuple[str, int] | None:
    """Return why a request to a control route is refused, and the HTTP status; None if it is not."""
    if request.client is None or request.client.host not in LOOPBACK:
        return "The control routes answer on loopback only.", 403
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if request.method in CHANGES and kind != JSON and (body or "origin" in request.headers):
        return f"A control route takes JSON: send the header Content-Type: {JSON}.", 415
    return None


def _is_foreign(request: Request) -> bool:
    """Whether a browser says that another site's page sends this; programs say nothing."""
    site = request.headers.get("sec-fetch-site")
    if site is not None and site not in OWN_SITE:
        return True
    origin = request.headers.get("origin")
    return origin is not None and origin != f"http://{request.headers.get('host', '')}"


def _name(address: str) -> str:
    try:
        return (urlsplit(address).hostname or "").lower()
    except ValueError:
        return ""
