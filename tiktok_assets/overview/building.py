"""Build the page from what is stored and put it in place whole."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from polars.exceptions import PolarsError

from tiktok_assets.overview.contents import Overview
from tiktok_assets.overview.page import render
from tiktok_assets.overview.stored import read_stored
from tiktok_assets.overview.summary import summarise
from tiktok_assets.storage.hive_parquet import HiveStore, StoreError
from tiktok_assets.storage.whole_file import cannot_build, put_whole

FILE_NAME = "account_overview.html"


@dataclass(frozen=True, slots=True)
class BuiltPage:
    """The page that now stands: where, its bytes, and what it says."""

    path: str
    bytes: int
    contents: Overview


def build_overview(store: HiveStore, state_dir: Path, now: datetime) -> BuiltPage:
    """Replace the page; a reader sees the old one or the new one.

    Args:
        store: the tables; the page stands beside them.
        state_dir: local folder in which Vega's JavaScript is kept between builds.
        now: aware; what the page says it was made at.

    Raises:
        StoreError: if a table cannot be read or the page cannot be put in place.
    """
    target = store.base / FILE_NAME
    try:
        contents = summarise(read_stored(store), now)
        document = render(contents, state_dir).encode()
        put_whole(document, target)
    except (OSError, PolarsError) as error:
        raise StoreError(cannot_build(target, error)) from error
    return BuiltPage(str(target), len(document), contents)
