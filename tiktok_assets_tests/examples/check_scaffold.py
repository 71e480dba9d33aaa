"""Make a project with `create-dagster`, add our component, and wait until `dg dev` has filled its tables."""

import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path

import httpx

from tiktok_assets_tests.environment import clean_environment
from tiktok_assets_tests.examples.conftest import Project, Stopwatch
from tiktok_assets_tests.versions.environments import ROOT, Environment

COMPONENT = "tiktok_assets.TikTokAdsComponent"
RANKING = "tiktok/top_spenders"
LAST_FILLED = "tiktok/warehouse"
"""The asset that is built after all others."""

MINUTES = 20
ASSETS = "{ assetNodes { assetKey { path } assetMaterializations(limit: 1) { timestamp } } }"


def test_new_project_fills_its_tables(tmp_path: Path, measure: Stopwatch) -> None:
    """One install, one scaffold and one `dg dev` fill the tables, and all of `dg` shows the same assets."""
    # The newest release of which Dagster has all parts: a project pins the Dagster of its `create-dagster`.
    release = version("dagster-dg-cli")
    maker = Environment(tmp_path / "maker", options=())
    with measure(f"install create-dagster {release}"):
        maker.create()
        maker.install(f"create-dagster=={release}")
    with measure("create-dagster project"):
        maker.run("create-dagster", "project", "--no-uv-sync", "agency", folder=tmp_path)
    project = Project(tmp_path / "agency", Environment(tmp_path / "agency" / ".venv", options=()))
    with measure("pip install of the project with tiktok_assets, from an empty environment"):
        project.environment.create()
        packages = (ROOT, "dagster-webserver", "dagster-dg-cli", "--editable", project.folder)
        project.run("python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *packages)
    with measure("dg scaffold defs"):
        project.run("dg", "scaffold", "defs", COMPONENT, "tiktok")
    with measure("dg check defs"):
        project.run("dg", "check", "defs")
    with measure("dg list components"):
        assert COMPONENT in project.run("dg", "list", "components", "--json")
    with measure("dg utils inspect-component"):
        assert '"lookback_days"' in project.run("dg", "utils", "inspect-component", COMPONENT)
    with measure("dg list defs"):
        listed = {one["asset_key"] for one in json.loads(project.run("dg", "list", "defs", "--json"))["assets"]}
    with measure("dg launch of the accounts"):
        project.run("dg", "launch", "--assets", 'key:"tiktok/advertisers"')
    assert wait_for_tables(project, measure) == listed


def wait_for_tables(project: Project, measure: Stopwatch) -> set[str]:
    """Run `dg dev` until the last table is filled, and return the keys of all assets it shows."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    home = project.folder / ".dagster"
    variables = project.environment.variables({"DAGSTER_HOME": str(home)})
    with (
        (project.folder / "dev.log").open("wb") as log,
        subprocess.Popen(  # noqa: S603 - our own environment
            [project.environment.program("dg"), "dev", "--port", str(port)],
            cwd=project.folder,
            env=clean_environment(variables),
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        ) as process,
    ):
        try:
            with measure("dg dev until its web server answers"):
                wait_until(port, process, bool)
            with measure(f"dg dev until {RANKING} is filled, which reads all reports"):
                wait_until(port, process, lambda found: found[RANKING])
            with measure(f"and until {LAST_FILLED} is filled"):
                assets = wait_until(port, process, lambda found: found[LAST_FILLED])
        finally:
            process.terminate()
            with suppress(subprocess.TimeoutExpired):
                process.wait(60)
            with suppress(ProcessLookupError):  # what is left of its servers
                os.killpg(process.pid, signal.SIGKILL)
    print(f"  {sum(assets.values())} of {len(assets)} assets are filled")  # noqa: T201 - the figures of the check
    return set(assets)


def wait_until(
    port: int, process: "subprocess.Popen[bytes]", is_reached: Callable[[dict[str, bool]], bool]
) -> dict[str, bool]:
    """Ask for the assets until a condition holds, and return whether each is filled, by key."""
    deadline = time.monotonic() + MINUTES * 60
    assets: dict[str, bool] = {}
    while process.poll() is None and time.monotonic() < deadline:
        try:
            answer = httpx.post(f"http://127.0.0.1:{port}/graphql", json={"query": ASSETS}, timeout=60)
            nodes = answer.json()["data"]["assetNodes"]
        except (httpx.HTTPError, ValueError, KeyError):
            nodes = []  # it is starting
        assets = {"/".join(one["assetKey"]["path"]): bool(one["assetMaterializations"]) for one in nodes}
        if assets and is_reached(assets):
            return assets
        time.sleep(2)
    empty = sorted(key for key, is_filled in assets.items() if not is_filled)
    raise AssertionError(f"after {MINUTES} minutes of dg dev {LAST_FILLED} is not filled; empty are {empty}")
