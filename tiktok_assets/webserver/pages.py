"""Serve the overview page and the alert pages on loopback."""

import re
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from html import unescape
from pathlib import Path

import uvicorn
from starlette.applications import Starlette
from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tiktok_assets.file_permissions import create_private_folder
from tiktok_assets.overview import PAGE_FILE_NAME
from tiktok_assets.webserver.guard import AllowedHosts, Guard

LOOPBACK = "127.0.0.1"
STATIC_PAGE_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none';"
    " frame-ancestors 'none'"
)
"""The Content-Security-Policy of a page without scripts."""

_POLICY_META_TAG = re.compile(r'<meta http-equiv="Content-Security-Policy" content="([^"]*)"')


def create_pages_app(folder: Path, alerts: Path) -> ASGIApp:
    """Create an application that serves the overview page at `/` and alert pages below `/alerts`.

    The overview page is sent with the policy of its meta tag, which lists the hashes of its scripts.

    Args:
        folder: the folder with the overview page; it is read at each request.
        alerts: the folder with the alert pages; it is created if it does not exist.
    """

    async def _overview(_: Request) -> Response:
        path = folder / PAGE_FILE_NAME
        if not path.exists():
            return PlainTextResponse("The page is built at the end of the first refresh.\n", 404)
        text = path.read_text(encoding="utf-8")
        found = _POLICY_META_TAG.search(text)
        policy = f"{unescape(found[1])}; frame-ancestors 'none'" if found else STATIC_PAGE_POLICY
        return HTMLResponse(text, headers={"Content-Security-Policy": policy, "Cache-Control": "no-store"})

    create_private_folder(alerts)
    routes = [Route("/", _overview), Mount("/alerts", StaticFiles(directory=alerts))]
    return PageHeadersMiddleware(Starlette(routes=routes))


class PageHeadersMiddleware:
    """ASGI middleware that sends no referrer, and the policy of a page without scripts unless the page has one."""

    def __init__(self, application: ASGIApp) -> None:
        self._application = application

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on and add the headers to its response."""

        async def _send(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers["Referrer-Policy"] = "no-referrer"
                headers.setdefault("Content-Security-Policy", STATIC_PAGE_POLICY)
            await send(message)

        await self._application(scope, receive, _send)


@contextmanager
def serve_pages(folder: Path, alerts: Path) -> Iterator[str]:
    """Serve the overview page and the alert pages on a free port, behind the guard.

    Args:
        folder: the folder with the overview page.
        alerts: the folder with the alert pages.

    Yields:
        The base URL; an alert is at `alerts/<its id>.html` below it.
    """
    with socket.create_server((LOOPBACK, 0)) as listener:
        port = listener.getsockname()[1]
        application = Guard(create_pages_app(folder, alerts), AllowedHosts(port))
        config = uvicorn.Config(application, log_level="critical", lifespan="off", timeout_graceful_shutdown=1)
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
        thread.start()
        try:
            yield f"http://{LOOPBACK}:{port}/"
        finally:
            server.should_exit = True
            thread.join(timeout=10)
