"""One Chromium of this machine, and what it asked for and complained of."""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from tiktok_assets_tests.overview.conftest import agency, shop

__all__ = ["agency", "shop"]

QUIET = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]

Watched = tuple[Page, list[str], list[str]]
"""A page, the addresses it asked for, and what it complained of."""

Watch = Callable[..., Watched]


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Chromium, headless."""
    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    assert found, "there is no Chromium; install it (Debian: apt-get install chromium)"
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=found, args=[*QUIET, "--disable-sync"])
        yield chromium
        chromium.close()


@pytest.fixture
def watch(browser: Browser) -> Iterator[Watch]:
    """Open an address in a window of a size and a light."""
    contexts: list[Any] = []

    def _watch(
        address: str, *, width: int = 1280, height: int = 900, light: Literal["light", "dark"] = "light"
    ) -> Watched:
        context = browser.new_context(viewport={"width": width, "height": height}, color_scheme=light)
        contexts.append(context)
        page = context.new_page()
        asked: list[str] = []
        complaints: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("console", lambda said: complaints.append(said.text) if said.type == "error" else None)
        page.goto(address)
        return page, asked, complaints

    yield _watch
    for context in contexts:
        context.close()


def keep(page: Page, name: str, **options: Any) -> None:  # noqa: ANN401 - of Playwright's screenshot
    """Keep a picture, if `PICTURES` names a folder."""
    if folder := os.environ.get("PICTURES"):
        page.screenshot(path=str(Path(folder) / name), **options)
