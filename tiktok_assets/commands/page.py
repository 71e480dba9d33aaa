"""The page of all accounts: made from the store, opened in a browser, and served on loopback for `demo`."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import FileResponse, PlainTextResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from tiktok_assets.commands.problems import Problem
from tiktok_assets.overview.building import FILE_NAME, BuiltPage, build_overview
from tiktok_assets.owner_only import create_folder
from tiktok_assets.session import Session

HOST = "127.0.0.1"


def make_page(session: Session) -> BuiltPage:
    """Make the page from what is stored; asks TikTok nothing.

    Raises:
        StoreError: if the store cannot be read or written.
    """
    return build_overview(session.store, session.settings.state_dir, datetime.now(UTC))


def address_of(page: BuiltPage) -> str:
    """Where a browser finds the page.

    Raises:
        Problem: if it lies in an object store, which a browser does not open.
    """
    if urlsplit(page.path).scheme in {"", "file"}:
        return Path(page.path.removeprefix("file://")).absolute().as_uri()
    raise Problem(f"a browser cannot open {page.path}; serve it, and name the address in TIKTOK_OVERVIEW_URL.")


@contextmanager
def served(folder: Path, alerts: Path) -> Iterator[str]:
    """Serve the page of a folder as it stands at each request, and a folder of alerts below it.

    Yields:
        The address, on a free port; an alert is at `alerts/<its id>.html` below it.
    """

    async def _page(_: Request) -> Response:
        path = folder / FILE_NAME
        headers = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
        if path.exists():
            return FileResponse(path, media_type="text/html", headers=headers)
        return PlainTextResponse("The page is made at the end of the first refresh.", 404, headers)

    with socket.create_server((HOST, 0)) as listener:
        create_folder(alerts)
        files = StaticFiles(directory=alerts)
        application = Starlette(routes=[Route("/", _page), Mount("/alerts", files)])
        config = uvicorn.Config(application, log_level="critical", lifespan="off", timeout_graceful_shutdown=1)
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
        thread.start()
        try:
            yield f"http://{HOST}:{listener.getsockname()[1]}/"
        finally:
            server.should_exit = True
            thread.join(timeout=10)
