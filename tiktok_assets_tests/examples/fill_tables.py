"""Fill the tables of the component of a project as its schedules do, in this process; run in its environment."""

import sys
from pathlib import Path

import dagster as dg

from tiktok_assets import TikTokAdsComponent
from tiktok_assets.cli.sync import run_sync
from tiktok_assets.cli.sync_result import SyncRequest
from tiktok_assets.session import open_session


def main(project: Path) -> None:
    """Read the accounts of the only component of a project."""
    (component,) = dg.ComponentTree.for_project(project).get_all_components(TikTokAdsComponent)
    settings = component.build_settings(project)
    with open_session(settings) as session:
        failures = run_sync(settings, session, SyncRequest(), lambda _: None).failures
    if failures:
        sys.exit("\n".join(failures))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
