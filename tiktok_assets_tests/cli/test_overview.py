"""Laws of `overview`: the page from the store alone, and the page served as it stands."""

import json
from pathlib import Path

import httpx
import pytest

from tiktok_assets.cli.errors import CommandError
from tiktok_assets.cli.overview import browser_url
from tiktok_assets.overview.models import Overview
from tiktok_assets.overview.page import PAGE_FILE_NAME, BuiltPage
from tiktok_assets.webserver.pages import serve_pages
from tiktok_assets_tests.cli.conftest import RunCommand
from tiktok_assets_tests.overview.sample_store import NOW


def test_the_page_is_made_without_a_host(run: RunCommand, tmp_path: Path) -> None:
    """Without a token, a host or a table the page is made, and the command says where."""
    ran = run("overview", "--json", variables={"TIKTOK_ACCESS_TOKEN": "", "TIKTOK_BASE_URL": "http://127.0.0.1:9"})
    assert ran.exit_code == 0, ran.err
    told = json.loads(ran.out)
    page = Path(tmp_path, told["path"])
    assert page.name == PAGE_FILE_NAME
    assert page.stat().st_size == told["bytes"]
    assert told["accounts"] == 0


def test_the_page_is_served_as_it_stands(tmp_path: Path) -> None:
    """Before it is made there is none; then each request gets the page of that moment; afterwards no answer.

    Alerts are served beside it, and nothing else of the folder above them.
    """
    alerts = tmp_path / "state" / "alerts"
    with serve_pages(tmp_path, alerts) as address:
        assert httpx.get(f"{address}alerts/a1.html").status_code == 404
        (alerts / "a1.html").write_text("<p>told")
        (alerts.parent / "state.sqlite").write_text("secret")
        assert httpx.get(f"{address}alerts/a1.html").text == "<p>told"
        assert httpx.get(f"{address}alerts/%2e%2e/state.sqlite").status_code == 404
        assert httpx.get(address).status_code == 404
        for text in ("<p>one", "<p>two"):
            (tmp_path / PAGE_FILE_NAME).write_text(text)
            answer = httpx.get(address)
            assert (answer.text, answer.headers["content-type"]) == (text, "text/html; charset=utf-8")
            assert answer.headers["cache-control"] == "no-store"
        assert httpx.get(address + "../../etc/hostname").status_code == 404
    with pytest.raises(httpx.ConnectError):
        httpx.get(address)


def test_a_page_in_an_object_store_is_not_opened() -> None:
    """A browser is only sent to a file; for an object store the sentence names the setting."""
    nothing = Overview(NOW, [])
    with pytest.raises(CommandError, match="TIKTOK_OVERVIEW_URL"):
        browser_url(BuiltPage("s3://bucket/account_overview.html", 1, nothing))
    assert (
        browser_url(BuiltPage("/a b/account_overview.html", 1, nothing)) == "file:///a%20b/account_overview.html"
    )
