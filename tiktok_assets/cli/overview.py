"""Run the `overview` command: build the overview page from stored tables and open it in a browser."""

from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

from upath import UPath

from tiktok_assets.cli.errors import CommandError
from tiktok_assets.overview import BuiltPage, build_overview
from tiktok_assets.session import Session


def build_page(session: Session, advertiser_id: str | None = None, out: Path | None = None) -> BuiltPage:
    """Build the overview page from stored tables, without a request to TikTok.

    Args:
        session: holds the store.
        advertiser_id: the only account on the page; None for all.
        out: where the page is written; None for beside the tables.

    Raises:
        CommandError: if a page of one account would replace the page of all.
        StoreError: if the store cannot be read or written.
    """
    if advertiser_id is not None and out is None:
        raise CommandError("a page of one account needs a file of its own: add --out FILE.")
    return build_overview(
        session.store,
        session.settings.state_dir,
        datetime.now(UTC),
        advertiser_id=advertiser_id,
        target=None if out is None else UPath(out),
    )


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
