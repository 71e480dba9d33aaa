"""Run the `overview` command: build the overview page from stored tables and open it in a browser."""

from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

from tiktok_assets.cli.errors import CommandError
from tiktok_assets.overview import BuiltPage, build_overview
from tiktok_assets.session import Session


def build_page(session: Session) -> BuiltPage:
    """Build the overview page from stored tables, without a request to TikTok.

    Raises:
        StoreError: if the store cannot be read or written.
    """
    return build_overview(session.store, session.settings.state_dir, datetime.now(UTC))


def browser_url(page: BuiltPage) -> str:
    """Return the file URL of the page.

    Raises:
        CommandError: if the page is in an object store, which a browser cannot open.
    """
    if urlsplit(page.path).scheme in {"", "file"}:
        return Path(page.path.removeprefix("file://")).absolute().as_uri()
    raise CommandError(
        f"a browser cannot open {page.path}; serve the file and set its URL in TIKTOK_OVERVIEW_URL."
    )
