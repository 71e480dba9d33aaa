"""Fixtures: a headless Chromium, its pages with their requests and errors, and one running demo."""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from tiktok_assets_tests.environment import clean_environment
from tiktok_assets_tests.overview.conftest import agency, sample

__all__ = ["agency", "sample"]

QUIET = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]

Watched = tuple[Page, list[str], list[str]]
"""A page, the URLs it requested, and its errors."""

Watch = Callable[..., Watched]


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Start a headless Chromium."""
    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    assert found, "there is no Chromium; install it (Debian: apt-get install chromium)"
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=found, args=[*QUIET, "--disable-sync"])
        yield chromium
        chromium.close()


@pytest.fixture
def watch(browser: Browser) -> Iterator[Watch]:
    """Return a function that opens a URL in a window with this size and colour scheme."""
    contexts: list[Any] = []

    def _watch(
        address: str, *, width: int = 1280, height: int = 900, color_scheme: Literal["light", "dark"] = "light"
    ) -> Watched:
        context = browser.new_context(viewport={"width": width, "height": height}, color_scheme=color_scheme)
        contexts.append(context)
        page = context.new_page()
        requested: list[str] = []
        errors: list[str] = []
        page.on("request", lambda request: requested.append(request.url))
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
        page.goto(address)
        return page, requested, errors

    yield _watch
    for context in contexts:
        context.close()


def save_screenshot(page: Page, name: str, **options: Any) -> None:  # noqa: ANN401 - of Playwright's screenshot
    """Save a screenshot, if `PICTURES` names a folder."""
    if folder := os.environ.get("PICTURES"):
        page.screenshot(path=str(Path(folder) / name), **options)


@dataclass(frozen=True, slots=True)
class Demo:
    """The URLs of the demo: Dagster, the overview page, the sandbox, and the alert of the scenario."""

    dagster: str
    overview: str
    sandbox: str
    alert: str


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    """Start the demo as a user does, wait until its scenario has run, and stop it with Ctrl-C."""
    folder = tmp_path_factory.mktemp("demo")
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "tiktok_assets", "demo", "--port", str(port)]
    with subprocess.Popen(  # noqa: S603 - our own program
        command, cwd=folder, env=clean_environment({"TMPDIR": str(folder)}), stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            yield _ready(process)
        finally:
            process.send_signal(signal.SIGINT)
            assert process.wait(60) == 0


def _ready(process: "subprocess.Popen[str]") -> Demo:
    output = ""
    assert process.stderr
    for line in process.stderr:
        output += line
        if dagster := re.match(r"Open (http\S+)/asset-groups ", line):
            (overview,) = re.findall(r"Overview page: (\S+)", output)
            (sandbox,) = re.findall(r"Sandbox at (http\S+?),", output)
            alert = re.findall(r"approve the duplication: (\S+)", output)[0]  # of the manual story, which is first
            return Demo(dagster[1], overview, sandbox, alert)
    raise AssertionError(output)
