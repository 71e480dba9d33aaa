"""The page of all accounts: made from the store, and opened in a browser."""

from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

from tiktok_assets.commands.problems import Problem
from tiktok_assets.overview.building import BuiltPage, build_overview
from tiktok_assets.session import Session


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
