"""Tests of the `overview` command and of the served page."""

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


def test_page_is_built_without_a_host(run: RunCommand, tmp_path: Path) -> None:
    """The page is built without a token, a host or a stored table, and its path is printed."""
    result = run(
        "overview", "--json", variables={"TIKTOK_ACCESS_TOKEN": "", "TIKTOK_BASE_URL": "http://127.0.0.1:9"}
    )
    assert result.exit_code == 0, result.err
    summary = json.loads(result.out)
    page = Path(tmp_path, summary["path"])
    assert page.name == PAGE_FILE_NAME
    assert page.stat().st_size == summary["bytes"]
    assert summary["accounts"] == 0


def test_page_of_one_account_needs_a_file_of_its_own(run: RunCommand, tmp_path: Path) -> None:
    """`--advertiser` without `--out` is refused, and an account of which nothing is stored is named."""
    without_file = run("overview", "--advertiser", "7001")
    assert without_file.exit_code != 0
    assert "add --out FILE" in without_file.err
    unknown = run("overview", "--advertiser", "7001", "--out", str(tmp_path / "client.html"))
    assert unknown.exit_code != 0
    assert "nothing is stored of the account 7001" in unknown.err
    assert not (tmp_path / "client.html").exists()


def test_page_is_written_to_the_file_that_is_named(run: RunCommand, tmp_path: Path) -> None:
    """`--out` names the file of the page of all accounts, too."""
    result = run("overview", "--out", str(tmp_path / "here.html"))
    assert result.exit_code == 0, result.err
    assert result.out.strip() == str(tmp_path / "here.html")
    assert (tmp_path / "here.html").exists()


def test_served_page_is_read_at_each_request(tmp_path: Path) -> None:
    """Each request gets the current page and alerts; other files are not served, and nothing after the context."""
    alerts = tmp_path / "state" / "alerts"
    with serve_pages(tmp_path, alerts) as address:
        assert httpx.get(f"{address}alerts/a1.html").status_code == 404
        (alerts / "a1.html").write_text("<p>alert")
        (alerts.parent / "state.sqlite").write_text("secret")
        assert httpx.get(f"{address}alerts/a1.html").text == "<p>alert"
        assert httpx.get(f"{address}alerts/%2e%2e/state.sqlite").status_code == 404
        assert httpx.get(address).status_code == 404
        for text in ("<p>one", "<p>two"):
            (tmp_path / PAGE_FILE_NAME).write_text(text)
            response = httpx.get(address)
            assert (response.text, response.headers["content-type"]) == (text, "text/html; charset=utf-8")
            assert response.headers["cache-control"] == "no-store"
        assert httpx.get(address + "../../etc/hostname").status_code == 404
    with pytest.raises(httpx.ConnectError):
        httpx.get(address)


def test_page_in_an_object_store_cannot_be_opened() -> None:
    """Only a file has a URL for the browser; for an object store the message names the setting."""
    contents = Overview(NOW, [])
    with pytest.raises(CommandError, match="TIKTOK_OVERVIEW_URL"):
        browser_url(BuiltPage("s3://bucket/account_overview.html", 1, contents))
    assert (
        browser_url(BuiltPage("/a b/account_overview.html", 1, contents)) == "file:///a%20b/account_overview.html"
    )
