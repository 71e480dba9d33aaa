"""The host and the path of a landing page, as a browser reads its address."""

import re

import can_ada
import duckdb

from tiktok_assets.spec.columns import Column

TABLE = "built_from.landing_pages"
MEANING = "Each landing page of an ad with its host and its path, as a browser reads them."
COLUMNS = (
    Column("landing_page_url", "", "text", "the address, as the ad has it"),
    Column("url_host", "", "text", "its host, without user and port, in ASCII; null where it has none"),
    Column("url_path", "", "text", "its path, / for the root"),
)

_HAS_SCHEME = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]*:")
_HOST_AND_PORT = re.compile(r"[^/?#:@]+:[0-9]+(?:[/?#]|$)")
_BARE_HOST = re.compile(r"[^/?#]*\.[^/?#]*|localhost|\[.*\]")


def parts_of(address: str) -> tuple[str | None, str]:
    """The host in small letters, an international one in its ASCII form, without user and port; and the path.

    An address without a scheme is what it is in the address bar, if what comes first looks like a host.

    >>> parts_of("HTTPS://me:secret@Bücher.example:8443/a?b=1")
    ('xn--bcher-kva.example', '/a')
    >>> parts_of("shop.example/a?b=1"), parts_of("mailto:me@shop.example")
    (('shop.example', '/a'), (None, '/'))
    """
    text = address.strip()
    if text.startswith("//"):
        text = f"https:{text}"
    elif not _HAS_SCHEME.match(text) or _HOST_AND_PORT.match(text):
        host = re.split(r"[/?#]", text, maxsplit=1)[0].rpartition("@")[2]
        if not _BARE_HOST.fullmatch(re.sub(r":[0-9]+$", "", host)):
            return None, "/"
        text = f"https://{text}"
    try:
        found = can_ada.parse(text)
    except ValueError:
        return None, "/"
    return (found.hostname, found.pathname or "/") if found.hostname else (None, "/")


def split_landing_pages(connection: duckdb.DuckDBPyConnection) -> None:
    """Bring the table of landing pages up to the table of ads."""
    connection.execute(f"DELETE FROM {TABLE}")  # noqa: S608 - a name of ours
    found = connection.execute("SELECT DISTINCT landing_page_url FROM ads WHERE landing_page_url <> ''").fetchall()
    rows = [(address, *parts_of(address)) for (address,) in found]
    if rows:
        connection.execute(
            f"INSERT INTO {TABLE} SELECT unnest($1::VARCHAR[]), unnest($2::VARCHAR[]), unnest($3::VARCHAR[])",
            [list(column) for column in zip(*rows, strict=True)],
        )
